"""A recipe: one TOML file that says everything needed to repeat a training run.

Unknown keys, wrong types and impossible values are refused with the path of the key.
"""

import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from model_export.errors import ModelExportError
from service.engine.bundle import DecodingDefaults

_STRICT = ConfigDict(extra="forbid")
Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class RecipeError(ModelExportError):
    """The recipe cannot be read; the message lists every fault with its key."""


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """One pair file of the mixture, named relative to the corpus folder."""

    __pydantic_config__ = _STRICT
    path: str
    weight: Annotated[float, Field(gt=0)] = 1.0
    """How often each pair is seen in an epoch; 0.5 draws half of the pairs anew each epoch."""
    directions: tuple[str, ...] = ("en-ko", "ko-en")
    licence: str = "unknown"
    synthetic: bool = False
    """The source side is a translation by a model; a tag tells so (Caswell et al. 2019)."""


@dataclass(frozen=True, slots=True)
class TokenizerRecipe:
    """One SentencePiece unigram model for all languages (Kudo 2018)."""

    __pydantic_config__ = _STRICT
    vocabulary_size: Positive = 8000
    character_coverage: Annotated[float, Field(gt=0, le=1)] = 0.9995


@dataclass(frozen=True, slots=True)
class TransformerRecipe:
    """Sizes of `architectures.transformer.TransformerConfig`; the vocabulary comes later."""

    __pydantic_config__ = _STRICT
    kind: Literal["transformer"]
    width: Positive = 256
    feed_forward_width: Positive = 1024
    heads: Positive = 4
    encoder_layers: Positive = 6
    decoder_layers: Positive = 2
    norm_placement: Literal["post", "pre"] = "post"
    dropout: Fraction = 0.0


@dataclass(frozen=True, slots=True)
class RnnSeq2seqRecipe:
    """Sizes of `architectures.rnn_seq2seq.RnnSeq2seqConfig`."""

    __pydantic_config__ = _STRICT
    kind: Literal["rnn-seq2seq"]
    width: Positive = 256
    hidden_width: Positive = 512
    cell: Literal["gru", "lstm"] = "gru"


@dataclass(frozen=True, slots=True)
class RnnAttentionRecipe:
    """Sizes of `architectures.rnn_attention.RnnAttentionConfig`."""

    __pydantic_config__ = _STRICT
    kind: Literal["rnn-attention"]
    width: Positive = 256
    hidden_width: Positive = 512
    cell: Literal["gru", "lstm"] = "gru"
    score: Literal["additive", "general", "dot"] = "additive"


ArchitectureRecipe = Annotated[
    TransformerRecipe | RnnSeq2seqRecipe | RnnAttentionRecipe, Field(discriminator="kind")
]


@dataclass(frozen=True, slots=True)
class TrainingRecipe:
    """The optimiser, its schedule, and how often to look at the dev set."""

    __pydantic_config__ = _STRICT
    updates: Positive
    warmup_updates: Positive = 1000
    schedule: Literal["inverse-sqrt", "linear"] = "inverse-sqrt"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    label_smoothing: Fraction = 0.1
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    tokens_per_update: Positive = 2000
    """Target tokens of one update, padding included; several batches are joined if needed."""
    tokens_per_batch: Positive = 2000
    """Target tokens of one forward pass, padding included: what memory allows."""
    max_length: Positive = 100
    """Longer pairs, counted in pieces on either side, are left out."""
    evaluate_every: Positive = 1000
    average_last: Positive = 5
    """The exported weights are the mean of this many last evaluation checkpoints."""
    bf16: bool = True
    seed: int = 1


@dataclass(frozen=True, slots=True)
class AugmentationRecipe:
    """Shares of the examples of an epoch that are changed, each time anew."""

    __pydantic_config__ = _STRICT
    placeholders: Fraction = 0.0
    """Words, numbers and addresses that both sides share become placeholders to copy."""
    lower_case: Fraction = 0.0
    no_final_mark: Fraction = 0.0
    run_together: Fraction = 0.0
    """Sources lose their capitals, their last mark, or half of their Korean spaces."""
    concatenate: Fraction = 0.0
    """Examples are joined with another of the same file and direction."""
    split_pieces: Fraction = 0.0
    """Of all pieces, on both sides of every example: cut into two others of the vocabulary."""

    def __post_init__(self) -> None:
        changed = self.placeholders + self.lower_case + self.no_final_mark + self.run_together
        total = changed + self.concatenate
        if total > 1:
            raise ValueError(f"the shares of changed examples add up to {total:g}, more than 1")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything about one model."""

    __pydantic_config__ = _STRICT
    name: str
    version: str
    languages: tuple[str, str]
    training: TrainingRecipe
    architecture: ArchitectureRecipe
    train: tuple[CorpusFile, ...]
    dev: tuple[CorpusFile, ...] = ()
    tokenizer: TokenizerRecipe = field(default_factory=TokenizerRecipe)
    augmentation: AugmentationRecipe = field(default_factory=AugmentationRecipe)
    decoding: DecodingDefaults = field(default_factory=DecodingDefaults)
    """What the service does when a request asks for nothing."""
    file: str = ""
    """Name of the file that it was read from."""

    @property
    def directions(self) -> tuple[tuple[str, str], ...]:
        """Both directions of the language pair."""
        first, second = self.languages
        return (first, second), (second, first)


def load_recipe(path: Path) -> Recipe:
    """Reads a TOML recipe. Raises RecipeError naming every faulty key."""
    try:
        recipe = TypeAdapter(Recipe).validate_python(tomllib.loads(path.read_text("utf-8")))
        return replace(recipe, file=path.name)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"{path}: {error}") from error
    except ValidationError as error:
        faults = (f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise RecipeError(f"{path}:\n" + "\n".join(faults)) from error
