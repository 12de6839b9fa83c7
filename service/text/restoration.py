"""Puts back into a translation what the model was not shown, and in the terms that it must have.

Whatever was made of the stand-ins: in the end each literal is there once, and each term is there.
Knows no model.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.text.alignment import Span, WordLink
from service.text.glossary import TermUse, occurrences
from service.text.particles import agree, ending_of, particle_at
from service.text.projection import Attention, Projection
from service.text.protection import Hidden, Kind, Shielded, copies, stand_in
from service.text.rewriting import Edit, Rewriting

_ASCII_WORD = re.compile(r"[A-Za-z0-9]")
_LETTER = re.compile(r"[^\W_]")
_LAST_WORD = re.compile(r"\w+\W*$")
_MARKS = re.compile(r"[^\w\s]\s*$")
_MARKS_HERE = re.compile(r"(?:[^\w\s{}])*")
_END_MARKS = re.compile(r"[\s.!?…。！？\"'”’」』》〉)]*$")


@dataclass(frozen=True, slots=True)
class Restored:
    """A sentence with all that it needs, and what of it comes from where for certain."""

    rewriting: Rewriting
    """From what the model said to the text."""
    links: tuple[WordLink, ...] = ()


def restore(
    shielded: Shielded, terms: Sequence[TermUse], said: str, attention: Attention | None
) -> Restored:
    """`terms` are those of the sentence; `attention` is between what the model read and said."""
    if not (shielded.literals or shielded.pictures or terms):
        return Restored(Rewriting(said))
    return _Restoration(shielded, said, attention).run(terms)


class _Restoration:
    """Collects edits of what the model said; no two may overlap."""

    def __init__(self, shielded: Shielded, said: str, attention: Attention | None) -> None:
        self._shielded = shielded
        self._said = said
        self._projection = Projection.of(shielded.rewriting.after, said, attention)
        self._edits: list[Edit] = []
        self._taken: list[Span] = []
        self._sources: list[tuple[Span, Edit, str]] = []

    def run(self, terms: Sequence[TermUse]) -> Restored:
        """What stands somewhere already comes first, then what needs a place."""
        lost_literals = list(self._literals())
        lost_terms = list(self._terms(terms))
        for number, literal in lost_literals:
            self._insert_literal(number, literal)
        for use in lost_terms:
            self._replace_by(use)
        for picture in self._shielded.pictures:
            self._insert_picture(picture)
        rewriting = Rewriting(self._said, self._edits)
        places = {id(edit): span for edit, span in rewriting.placed}
        links = (
            WordLink(source, _core(places[id(edit)], edit, text))
            for source, edit, text in self._sources
        )
        return Restored(rewriting, tuple(links))

    def _literals(self) -> Iterator[tuple[int, Hidden]]:
        """Puts literals in the place of what was said for them: their stand-ins, or anything else
        that looks like one; what is left over goes. Yields those that nothing was said for."""
        literals = self._shielded.literals
        if not literals:
            return
        numbers = {stand_in(number): number for number in range(1, len(literals) + 1)}
        said: dict[int, Span] = {}
        others = []
        for span in copies(self._said):
            number = numbers.get(self._said[span.start : span.end])
            if number is None or number in said:
                others.append(span)
            else:
                said[number] = span
        for number, literal in enumerate(literals, 1):
            place = said.get(number) or (others.pop(0) if others else None)
            if place is None:
                yield number, literal
            else:
                self._put(literal, place)
        for span in others:
            spaced = self._said[: span.start].endswith(" ")
            self._edit(Edit(span.start - spaced, span.end, ""))

    def _put(self, literal: Hidden, span: Span) -> None:
        """A literal for a span of what was said, and the particle after it in the right form."""
        before, after = self._said[: span.start][-1:], self._said[span.end :][:1]
        text, end = literal.text, span.end
        if particle := particle_at(self._said, end):
            word = None if literal.kind is Kind.PLACEHOLDER else literal.text
            text, end = text + agree(particle, word), end + len(particle)
        # Addresses and names must not grow by letters that touched them nowhere before.
        sentence, place = self._shielded.rewriting.before, literal.span
        touched_before = _ASCII_WORD.match(sentence[: place.start][-1:])
        touched_after = _ASCII_WORD.match(sentence, place.end)
        left = " " if _ASCII_WORD.match(before) and not touched_before else ""
        right = " " if end == span.end and _ASCII_WORD.match(after) and not touched_after else ""
        self._edit(Edit(span.start, end, f"{left}{text}{right}"), literal.span, literal.text)

    def _insert_literal(self, number: int, literal: Hidden) -> None:
        """Where the model looked at the stand-in, it may have said half of it."""
        shown = self._shielded.rewriting.forward(literal.span)
        unit = self._free_unit(shown)
        if unit is None:
            self._append(literal)
            return
        half = re.compile(rf"[{{%$]*(?<!\d){number}(?!\d)[}}$s]*|\{{\w*\}}?|\w*\}}")
        found = half.search(self._said, max(unit.start - 1, 0), unit.end + 1)
        if found and found[0] and str(number) not in self._shielded.rewriting.before:
            span = Span(*found.span())
            if self._is_free(span):
                self._put(literal, span)
                return
        edit = Edit(unit.start, unit.start, f"{literal.text} ")
        self._edit(edit, literal.span, literal.text)

    def _terms(self, terms: Sequence[TermUse]) -> Iterator[TermUse]:
        """Marks the terms that are there already; yields the others."""
        for use in terms:
            target = use.term.target
            for span in occurrences(target, self._said):
                if self._is_free(span):
                    # A capital letter at the beginning of a sentence is right.
                    said = self._said[span.start : span.end]
                    same = said[1:] == target[1:] and (span.start == 0 or said == target)
                    self._edit(Edit(span.start, span.end, said if same else target), use.span)
                    break
            else:
                yield use

    def _replace_by(self, use: TermUse) -> None:
        """A term for the words that come from it; a Korean noun hands its particle on."""
        shown = self._shielded.rewriting.forward(use.span)
        best = self._free_unit(shown)
        if best is None:
            self._append(Hidden(use.span, use.term.target, Kind.LITERAL))
            return
        start, last = self._run_around(best, shown, len(use.term.source.split()))
        stem = last.end - len(ending_of(self._said[last.start : last.end]))
        particle = particle_at(self._said, stem)
        end = stem + len(particle)
        text = use.term.target
        if particle:
            text += agree(particle, text)
        if not self._is_free(Span(start, end)):
            end, text = last.end, use.term.target
        self._edit(Edit(start, end, text), use.span, use.term.target)

    def _run_around(self, best: Span, shown: Span, most: int) -> tuple[int, Span]:
        """Neighbours that come from the term too, `most` at most with it: where they begin, and the
        last of them."""
        units = self._projection.units
        shares = self._projection.shares([shown])[:, 0]
        first = last = units.index(best)
        while last - first + 1 < most:
            if last + 1 < len(units) and shares[last + 1] > 0.5 and self._is_joined(last):
                last += 1
            elif first > 0 and shares[first - 1] > 0.5 and self._is_joined(first - 1):
                first -= 1
            else:
                break
        return units[first].start, units[last]

    def _is_joined(self, unit: int) -> bool:
        """Whether only free white space is between a unit and the next, and both are free."""
        one, other = self._projection.units[unit : unit + 2]
        between = self._said[one.end : other.start]
        return between.isspace() and self._is_free(Span(one.start, other.end))

    def _insert_picture(self, picture: Hidden) -> None:
        """After the word that it stood behind; at an end of the sentence if it stood there."""
        sentence = self._shielded.rewriting.before
        before = _LAST_WORD.search(sentence, 0, picture.span.start)
        if not _LETTER.search(sentence, picture.span.end):
            marks = _END_MARKS.search(self._said)
            behind = not sentence[picture.span.end :].strip()
            at = len(self._said) if behind or marks is None else marks.start()
        elif before is None:
            at = 0
        else:
            word = self._shielded.rewriting.forward(Span(before.start(), picture.span.start))
            unit = self._projection.best_unit(word)
            at = self._outside(unit.end if unit else len(self._said))
            if _MARKS.search(before[0]) and (marks := _MARKS_HERE.match(self._said, at)):
                at = marks.end()
        at = self._outside(at)
        text = picture.text if at or not self._said else f"{picture.text.strip()} "
        bare = picture.text.strip()
        start = picture.span.start + picture.text.index(bare)
        self._edit(Edit(at, at, text), Span(start, start + len(bare)), bare)

    def _append(self, hidden: Hidden) -> None:
        """At the end, before the marks that close the sentence."""
        marks = _END_MARKS.search(self._said)
        at = self._outside(marks.start() if marks else len(self._said))
        space = " " if at and not self._said[at - 1].isspace() else ""
        self._edit(Edit(at, at, f"{space}{hidden.text}"), hidden.span, hidden.text)

    def _free_unit(self, shown: Span) -> Span | None:
        """The free unit that looks most at a part of what the model read."""
        shares = self._projection.shares([shown])[:, 0]
        ranked = sorted(
            zip(shares.tolist(), self._projection.units, strict=True), key=lambda pair: -pair[0]
        )
        return next((unit for _, unit in ranked if self._is_free(unit)), None)

    def _outside(self, at: int) -> int:
        """The next place that is not inside what is taken."""
        for span in sorted(self._taken):
            if span.start < at < span.end:
                at = span.end
        return at

    def _is_free(self, span: Span) -> bool:
        return not any(span.start < t.end and t.start < span.end for t in self._taken)

    def _edit(self, edit: Edit, source: Span | None = None, text: str | None = None) -> None:
        """`text` is the part of the edit that comes from `source`, all of it if it is not said."""
        self._edits.append(edit)
        self._taken.append(Span(edit.start, edit.end))
        if source is not None:
            self._sources.append((source, edit, edit.text if text is None else text))


def _core(target: Span, edit: Edit, text: str) -> Span:
    """Where a part of an edit has gone, when the edit has gone to `target`."""
    start = target.start + edit.text.index(text)
    return Span(start, start + len(text))
