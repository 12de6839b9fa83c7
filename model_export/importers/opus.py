"""The languages of an OPUS-MT model: of its names, its tags `>>code<<`, and what a caller says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model_export.importers.imported import Asked
from model_export.importers.languages import language_code, tagged_languages
from model_export.importers.tokenizers import tags_of
from service.engine.bundle import SourceLayout


@dataclass(frozen=True, slots=True)
class Languages:
    """What is read, and what is written, with the source piece that asks for it."""

    sources: tuple[str, ...]
    targets: Mapping[str, str | None]
    layout: SourceLayout


def choose_languages(
    pieces: Sequence[str], names: Sequence[str], asked: Asked, faults: list[str]
) -> Languages:
    """`names` are what the model calls its source and its target; a caller's languages win.

    A model with tags writes their languages; a caller may want some of them only.
    """
    tagged = tagged_languages(list(tags_of(tuple(pieces))))
    sources = asked.sources or _named(names[0])
    targets: dict[str, str | None] = {}
    if tagged:
        wanted = asked.targets or tuple(tagged)
        faults += [f"there is no tag for target {code}" for code in wanted if code not in tagged]
        targets = {code: f">>{tagged[code]}<<" for code in wanted if code in tagged}
    else:
        wanted = asked.targets or _named(names[1])
        if len(wanted) > 1:
            faults.append("a model without tags has one target language")
        targets = dict.fromkeys(wanted)
    if not sources:
        faults.append(f"the source languages are not known ({names[0] or 'no name'}): name them")
    if not targets and not tagged:
        faults.append(f"the target language is not known ({names[1] or 'no name'}): name it")
    return Languages(sources, targets, "tag pieces eos" if tagged else "pieces eos")


GROUPS = "mul roa gem gmw gmq sla zle zls zlw itc cel bat fiu afa sem trk iir inc"
"""Codes of groups of languages, which are no languages."""


def _named(name: str) -> tuple[str, ...]:
    """`deu+eng` -> (de, en); nothing where a name is that of a group."""
    codes = [language_code(each) for each in name.split("+") if each not in GROUPS.split()]
    return tuple(dict.fromkeys(code for code in codes if code))
