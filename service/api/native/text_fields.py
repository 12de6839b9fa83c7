"""How a request says what its texts are: markup, terms, where to cut. Types and ranges only."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from service.api.glossary_terms import LONGEST_TERM, sound_terms
from service.api.texts import sound_text
from service.text.glossary import Glossary, Term
from service.text.markup import MarkupOptions, TextFormat
from service.text.segmentation import Splitting

MOST_TERMS = 1000
MOST_TAGS = 200


def _sound_tag(name: str) -> str:
    if not name or any(sign.isspace() or sign in "<>/" for sign in name):
        raise ValueError("is not the name of a tag")
    return name


def _as_enum(kind: type[TextFormat | Splitting]) -> Any:
    """Reads a member from its value, which strict types would refuse inside Python."""
    return BeforeValidator(lambda value: kind(value) if value in list(kind) else value)


TagName = Annotated[str, Field(max_length=100), AfterValidator(_sound_tag)]
TagNames = Annotated[list[TagName], Field(max_length=MOST_TAGS)]
TermText = Annotated[str, Field(max_length=LONGEST_TERM), AfterValidator(sound_text)]
FormatField = Annotated[TextFormat, _as_enum(TextFormat)]
SplittingField = Annotated[Splitting, _as_enum(Splitting)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TermField(_Strict):
    """A term and its translation."""

    source: TermText = Field(
        description="As it stands in the text; without capital letters it is found in any case.",
        examples=["station"],
    )
    target: TermText = Field(
        description="As it must stand in the translation.", examples=["정거장"]
    )


class MarkupField(_Strict):
    """What is special about tags, by name."""

    ignore_tags: TagNames = Field(
        [], description="Elements that are copied as they are.", examples=[["x"]]
    )
    splitting_tags: TagNames = Field([], description="They end a sentence.", examples=[["par"]])
    non_splitting_tags: TagNames = Field(
        [], description="They do not, though they otherwise would.", examples=[["td"]]
    )
    outline_detection: bool = Field(
        True,
        description="Whether XML elements that hold only other elements end sentences.",
        examples=[True],
    )

    def options(self) -> MarkupOptions:
        """The same in the pipeline's words."""
        return MarkupOptions(
            frozenset(self.ignore_tags),
            frozenset(self.splitting_tags),
            frozenset(self.non_splitting_tags),
            self.outline_detection,
        )


def sound_glossary(terms: list[TermField]) -> list[TermField]:
    """The terms, if they can be used. Raises ValueError."""
    if terms:
        sound_terms((term.source, term.target) for term in terms)
    return terms


Terms = Annotated[list[TermField], Field(max_length=MOST_TERMS), AfterValidator(sound_glossary)]
Kept = Annotated[list[TermText], Field(max_length=MOST_TERMS)]


def glossary_of(terms: Sequence[TermField], kept: Sequence[str]) -> Glossary:
    """Terms and what is not translated; a term that is both is not translated."""
    pairs = {term.source.strip(): term.target.strip() for term in terms}
    pairs |= {text.strip(): text.strip() for text in kept if text.strip()}
    return Glossary(tuple(Term(*pair) for pair in pairs.items()))
