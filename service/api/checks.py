"""What a request's types cannot say: limits, languages that are served, options that agree.

Collects everything that is wrong, in words that name what is allowed. Knows no protocol.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from service.engine.bundle import Direction
from service.errors import UnsupportedDirection
from service.text.markup import TextFormat
from service.translation.catalogue import Catalogue
from service.translation.decoding import DecodingChoice
from service.translation.request import TranslationRequest


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """How much one request may ask for."""

    max_texts: int
    max_characters: int
    max_beam_size: int
    max_seconds: float = 300.0
    max_file_bytes: int = 10_485_760


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the path of the field, and what would be right."""

    field: str
    message: str


class InvalidRequest(Exception):
    """The request is well formed but cannot be served. `problems` is never empty."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{p.field}: {p.message}" for p in self.problems))


def check(wanted: TranslationRequest, catalogue: Catalogue, limits: RequestLimits) -> None:
    """Raises UnknownModel, or InvalidRequest with all problems at once."""
    problems = [
        *_amount_problems(wanted.texts, limits),
        *_language_problems(wanted, catalogue),
        *_decoding_problems(wanted.decoding, limits),
        *_sampling_problems(wanted.decoding),
        *_prefix_problems(wanted),
    ]
    if problems:
        raise InvalidRequest(problems)


def check_amounts(texts: tuple[str, ...], limits: RequestLimits) -> None:
    """Raises InvalidRequest."""
    if problems := list(_amount_problems(texts, limits)):
        raise InvalidRequest(problems)


def _amount_problems(texts: tuple[str, ...], limits: RequestLimits) -> Iterator[Problem]:
    if len(texts) > limits.max_texts:
        yield Problem("text", f"{len(texts)} texts in one request; at most {limits.max_texts}")
    characters = sum(map(len, texts))
    if characters > limits.max_characters:
        allowed = limits.max_characters
        yield Problem("text", f"{characters} characters in one request; at most {allowed}")


def _language_problems(wanted: TranslationRequest, catalogue: Catalogue) -> Iterator[Problem]:
    given = {"target": wanted.target} | ({"source": wanted.source} if wanted.source else {})
    sources = [wanted.source] if wanted.source else catalogue.sources(wanted.model, wanted.target)
    unsupported = Problem("target", f"nothing is translated into {wanted.target!r}")
    try:
        for source in sources:
            direction = Direction(source, wanted.target)
            catalogue.middle(wanted.model, direction, wanted.alignment)
        if sources:
            return
    except UnsupportedDirection as error:
        unsupported = Problem(error.field, str(error))
    served = catalogue.directions(wanted.model)
    known = sorted({language for d in served for language in (d.source, d.target)})
    unknown = {field: code for field, code in given.items() if code not in known}
    for field, code in unknown.items():
        yield Problem(field, f"unknown language {code!r}; served languages: {', '.join(known)}")
    if unknown:
        return
    if wanted.source == wanted.target:
        targets = sorted({d.target for d in served if d.source == wanted.source})
        yield Problem(
            "target",
            f"source and target are both {wanted.source!r}; "
            f"{wanted.source!r} is translated into: {', '.join(targets) or 'nothing'}",
        )
    else:
        yield unsupported


def _decoding_problems(choice: DecodingChoice, limits: RequestLimits) -> Iterator[Problem]:
    single = {"greedy": "greedy search", "sample": "sampling"}.get(choice.strategy or "")
    allowed = f"allowed: 1 to {limits.max_beam_size}"
    beam_size, n_best = choice.beam_size, choice.n_best or 1
    if single and (beam_size or 1) > 1:
        yield Problem(
            "decoding.beam_size",
            f"{single} has beam_size 1, not {beam_size}; leave it out, or use strategy 'beam'",
        )
    elif beam_size is not None and beam_size > limits.max_beam_size:
        yield Problem("decoding.beam_size", f"{beam_size} is out of range; {allowed}")
    if n_best > limits.max_beam_size:
        yield Problem("decoding.n_best", f"{n_best} is out of range; {allowed}")
    elif single and n_best > 1:
        yield Problem("decoding.n_best", f"{single} has 1 hypothesis, {n_best} are wanted")
    elif beam_size is not None and n_best > beam_size:
        yield Problem("decoding.n_best", f"{n_best} is more than beam_size {beam_size}")


def _sampling_problems(choice: DecodingChoice) -> Iterator[Problem]:
    if choice.strategy == "sample":
        return
    given = {"temperature": choice.temperature, "top_k": choice.top_k, "seed": choice.seed}
    for field, value in given.items():
        if value is not None:
            yield Problem(f"decoding.{field}", f"{field} is for strategy 'sample' only")


def _prefix_problems(wanted: TranslationRequest) -> Iterator[Problem]:
    if wanted.decoding.target_prefix is None:
        return
    if len(wanted.texts) > 1:
        yield Problem(
            "decoding.target_prefix", f"a prefix is for one text, {len(wanted.texts)} were sent"
        )
    if wanted.format is not TextFormat.TEXT:
        yield Problem(
            "decoding.target_prefix", f"a prefix is for plain text, not for {wanted.format}"
        )
