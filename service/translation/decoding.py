"""What a caller says about decoding, and what that means for a model and for a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from service.engine.bundle import Manifest
from service.engine.request import DecodingOptions, Sampling, TargetPrefix
from service.errors import LimitExceeded


class PrefixVocabulary(Protocol):
    """What can spell the beginning of a translation."""

    def target_prefix(self, text: str) -> TargetPrefix:
        """How a hypothesis begins whose text begins so."""


@dataclass(frozen=True, slots=True)
class DecodingChoice:
    """What a caller says about decoding; None leaves it to the model's defaults."""

    strategy: Literal["greedy", "beam", "sample"] | None = None
    beam_size: int | None = None
    n_best: int | None = None
    length_penalty: float | None = None
    max_target_length: int | None = None
    repetition_penalty: float | None = None
    no_repeat_ngram: int | None = None
    temperature: float | None = None
    """This, `top_k` and `seed` are for the strategy `sample`."""
    top_k: int | None = None
    seed: int | None = None
    """The same seed gives the same answer; 0 if there is none."""
    target_prefix: str | None = None
    """How the translation of a text's first sentence begins."""


MODEL_DEFAULTS = DecodingChoice()


def resolve_decoding(
    choice: DecodingChoice, manifest: Manifest, vocabulary: PrefixVocabulary
) -> DecodingOptions:
    """Fills a caller's choice up with the model's defaults. Raises LimitExceeded."""
    defaults, limit = manifest.decoding, manifest.limits.max_target_length
    if choice.max_target_length is not None and choice.max_target_length > limit:
        raise LimitExceeded(
            "decoding.max_target_length",
            f"max_target_length {choice.max_target_length} is above this model's {limit}",
        )
    limit = choice.max_target_length or limit
    prefix = vocabulary.target_prefix(choice.target_prefix) if choice.target_prefix else None
    if prefix is not None and len(prefix) >= limit:
        raise LimitExceeded(
            "decoding.target_prefix",
            f"target_prefix has {len(prefix)} pieces; a translation has at most {limit}",
        )
    penalty = choice.length_penalty
    return DecodingOptions(
        beam_size=_beam_size(choice, defaults.beam_size),
        n_best=choice.n_best or 1,
        length_penalty=defaults.length_penalty if penalty is None else penalty,
        max_target_length=limit,
        repetition_penalty=choice.repetition_penalty or 1.0,
        no_repeat_ngram=choice.no_repeat_ngram or 0,
        sampling=_sampling(choice),
        target_prefix=prefix,
    )


def _beam_size(choice: DecodingChoice, default: int) -> int:
    if choice.strategy in ("greedy", "sample"):
        return 1
    return choice.beam_size or max(default, choice.n_best or 1)


def _sampling(choice: DecodingChoice) -> Sampling | None:
    if choice.strategy != "sample":
        return None
    return Sampling(choice.temperature or 1.0, choice.top_k or 10, choice.seed or 0)


def for_sentence(options: DecodingOptions, source: Sequence[int], first: bool) -> DecodingOptions:
    """The options of one sentence; only the first one of a text begins with its prefix."""
    prefix = options.target_prefix if first else None
    length = longest_sensible(len(source)) + (len(prefix) if prefix else 0)
    limit = min(options.max_target_length, length)
    return replace(options, max_target_length=limit, target_prefix=prefix)


def longest_sensible(source_length: int) -> int:
    """Target pieces beyond which a hypothesis can only be running in circles."""
    return 3 * source_length + 16


def second_try(options: DecodingOptions, beam_size: int) -> DecodingOptions | None:
    """How to decode a sentence again that came out bad: with a beam, and without repetitions.

    None if that would be no different. What chance decided is what the caller wanted.
    """
    if options.sampling:
        return None
    other = replace(
        options,
        beam_size=max(options.beam_size, beam_size),
        no_repeat_ngram=options.no_repeat_ngram or 3,
        repetition_penalty=max(options.repetition_penalty, 1.5),
    )
    return None if other == options else other
