"""The sentences and what is expected of their translations, from the files beside this one.

A line is `topic<TAB>sentence<TAB>expectations`; expectations are `; `-separated marks (`not`,
`question`, `polite`) and demands (`number=2; name=Paris|Paree`) with `|` between what will do.
Knows no translation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from model_export.errors import ModelExportError
from service.engine.bundle import Direction

Alternatives = tuple[str, ...]
MARKS = ("not", "question", "polite")
_FOLDER = Path(__file__).parent
DEMANDS = ("number", "name", "kept", "means", "may")


class ChallengeError(ModelExportError):
    """There is no list for a direction, or a line of it cannot be read."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence; a demand is met by any of its alternatives."""

    topic: str
    source: str
    marks: frozenset[str] = frozenset()
    """`not`: it denies something; `question`: it asks; `polite`: so must the translation be."""
    numbers: tuple[Alternatives, ...] = ()
    """Digits stand for every way to write that number."""
    names: tuple[Alternatives, ...] = ()
    kept: tuple[Alternatives, ...] = ()
    """Addresses, signs and codes that stay as they are."""
    meaning: tuple[Alternatives, ...] = ()
    """Words of which one has to be there, or the sentence is about something else."""
    untranslated: tuple[Alternatives, ...] = ()
    """Words that may stay in the source's script."""


def digest(directions: Sequence[Direction]) -> str:
    """Changes when one of these lists does: figures of different lists do not compare."""
    names = sorted(f"{direction}.tsv" for direction in directions)
    return sha256(b"".join((_FOLDER / name).read_bytes() for name in names)).hexdigest()[:12]


def load_sentences(direction: Direction) -> list[Sentence]:
    """The list of a direction, in file order. Raises ChallengeError."""
    file = _FOLDER / f"{direction}.tsv"
    if not file.exists():
        raise ChallengeError(f"there is no challenge list for {direction}")
    lines = file.read_text("utf-8").splitlines()
    return [parse(line, f"{file.name}:{number}") for number, line in enumerate(lines, 1)]


def parse(line: str, place: str) -> Sentence:
    """A line of a list; `place` names it in a ChallengeError."""
    fields = line.split("\t")
    if len(fields) != 3:
        raise ChallengeError(f"{place}: {len(fields)} fields where a sentence has 3")
    topic, source, expectations = fields
    marks, demands = set[str](), dict[str, tuple[Alternatives, ...]]()
    for each in filter(None, expectations.split("; ")):
        key, equals, value = each.partition("=")
        if key not in (DEMANDS if equals else MARKS):
            raise ChallengeError(f"{place}: unknown expectation {each!r}")
        if equals:
            demands[key] = (*demands.get(key, ()), tuple(value.split("|")))
        else:
            marks.add(key)
    every = (demands.get(key, ()) for key in DEMANDS)
    return Sentence(topic, source, frozenset(marks), *every)
