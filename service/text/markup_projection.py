"""Puts the inline tags of a sentence into its translation.

An element goes round the words that come from its words, whole words only, and within its parent.
Each tag is there once in the end. Knows no model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from service.text.alignment import Span, WordLink, overlap, words
from service.text.markup import Tag, TagKind, escapes
from service.text.projection import Attention, Projection, Shares
from service.text.protection import Protected
from service.text.rewriting import Edit, Rewriting

MOST_TAGS = 200
"""In one sentence. More than that is no text that a person wrote: they all go to its end."""


@dataclass(frozen=True, slots=True)
class MarkedSentence:
    """A sentence in markup: with tags and without. All tags are inside it, and count in it."""

    rewriting: Rewriting
    """From markup to plain text."""
    tags: tuple[Tag, ...] = ()
    protected: tuple[Protected, ...] = ()
    """What is not translated, in the plain text."""


@dataclass(slots=True)
class _Element:
    """A part of a sentence that tags mark, or a point in it. What has extent and no `opening` began
    before the sentence, what has no `closing` ends after it."""

    start: int
    end: int
    opening: str = ""
    closing: str = ""
    children: list["_Element"] = field(default_factory=list)

    @property
    def is_point(self) -> bool:
        return self.start == self.end

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)


@dataclass(frozen=True, slots=True)
class _Place:
    """Which units of the translation an element goes round, from `first` up to `last`."""

    first: int
    last: int
    element: _Element


def tree(tags: Sequence[Tag], length: int) -> _Element:
    """The elements of a sentence of this length. What is never closed right is a point, unless it
    may be closed after the sentence."""
    root = _Element(0, length)
    stack = [(root, "")]
    for tag in tags:
        parent = stack[-1][0]
        if tag.kind is TagKind.POINT:
            parent.children.append(_Element(tag.at, tag.at, tag.raw))
        elif tag.kind is TagKind.OPEN:
            element = _Element(tag.at, tag.at, tag.raw)
            parent.children.append(element)
            stack.append((element, tag.name))
        elif tag.name in [name for _, name in stack[1:]]:
            while stack[-1][1] != tag.name:
                _flatten(stack.pop()[0], stack[-1][0])
            element, _ = stack.pop()
            element.end, element.closing = tag.at, tag.raw
        elif len(stack) == 1:
            root.children = [_Element(0, tag.at, "", tag.raw, root.children)]
        else:
            parent.children.append(_Element(tag.at, tag.at, tag.raw))
    for element, _ in stack[1:]:
        element.end = length
    return root


def _flatten(element: _Element, parent: _Element) -> None:
    """Makes a point of an element, and its children its parent's."""
    parent.children += element.children
    element.children, element.end = [], element.start


def put_tags(
    marked: MarkedSentence,
    translation: str,
    links: Sequence[WordLink],
    attention: Attention | None,
) -> Rewriting:
    """From the plain translation to markup. `links` are the parts that come from a place for
    certain; `attention` is between the plain sentence and the plain translation."""
    if len(marked.tags) > MOST_TAGS:
        edits = [Edit(len(translation), len(translation), tag.raw) for tag in marked.tags]
        return Rewriting(translation, [*_written(marked, translation, links), *edits])
    kept = [link.target for link in links]
    units = _units(translation, kept)
    lengths = len(marked.rewriting.after), len(translation)
    projection = Projection(units, lengths, attention)
    tags = _Putting(marked, translation, projection, links).tags()
    edits = [Edit(at, at, raw) for at, raw in tags]
    return Rewriting(translation, [*edits, *_written(marked, translation, links)])


def _units(text: str, kept: Sequence[Span]) -> list[Span]:
    """The words of a text, of which those that touch something that came back are one with it."""
    units: list[Span] = []
    for span in sorted([*words(text), *kept]):
        if units and (span.start < units[-1].end or (kept and span.start == units[-1].end)):
            units[-1] = Span(units[-1].start, max(units[-1].end, span.end))
        else:
            units.append(span)
    return units


def _written(marked: MarkedSentence, text: str, links: Sequence[WordLink]) -> Iterator[Edit]:
    """Escapes the text; what came back as it was is written as it was."""
    source, plain = marked.rewriting.before, marked.rewriting.after
    verbatim = []
    for link in links:
        here, there = link.source, link.target
        torn = any(here.start < tag.at < here.end for tag in marked.tags)
        if not torn and text[there.start : there.end] == plain[here.start : here.end]:
            raw = marked.rewriting.backward(here)
            verbatim.append(Edit(there.start, there.end, source[raw.start : raw.end]))
    yield from verbatim
    for edit in escapes(text, source):
        if not any(each.start <= edit.start < each.end for each in verbatim):
            yield edit


class _Putting:
    """Finds the places of all elements, parents first, and writes their tags in order."""

    def __init__(
        self,
        marked: MarkedSentence,
        translation: str,
        projection: Projection,
        links: Sequence[WordLink],
    ) -> None:
        self._text = marked.rewriting.after
        self._translation = translation
        self._units = projection.units
        self._projection = projection
        self._links = links
        self._root = tree(marked.tags, len(self._text))

    def tags(self) -> Iterator[tuple[int, str]]:
        """Each tag and where it goes, from left to right."""
        yield from self._inside(self._root, (0, len(self._units)), (0, len(self._translation)))

    def _inside(
        self, parent: _Element, units: tuple[int, int], edges: tuple[int, int]
    ) -> Iterator[tuple[int, str]]:
        """The tags of an element's children; `edges` are where its own content begins and ends."""
        for place in self._places(parent, units):
            child = place.element
            start, end = self._edges_of(place, parent, units, edges)
            if child.opening:
                yield start, child.opening
            yield from self._inside(child, (place.first, place.last), (start, end))
            if child.closing:
                yield end, child.closing

    def _edges_of(
        self,
        place: _Place,
        parent: _Element,
        units: tuple[int, int],
        edges: tuple[int, int],
    ) -> tuple[int, int]:
        """From the first word to the last; marks at an end of the parent that were in the child
        are in it again."""
        child = place.element
        if place.first == place.last:
            at = self._units[place.first - 1].end if place.first > units[0] else edges[0]
            if child.start == parent.end:
                at = edges[1]
            elif at > edges[0]:
                at += self._spaces_before(child, at)
            return at, at
        start, end = self._units[place.first].start, self._units[place.last - 1].end
        if child.start == parent.start and place.first == units[0]:
            start = edges[0]
        if child.end == parent.end and place.last == units[1]:
            end = edges[1]
        return start, end

    def _spaces_before(self, child: _Element, at: int) -> int:
        """How many of the spaces at a place of the translation go before a point."""
        before = self._text[: child.start]
        spaces = len(before) - len(before.rstrip())
        here = self._translation[at : at + spaces]
        return len(here) - len(here.lstrip())

    def _places(self, parent: _Element, units: tuple[int, int]) -> list[_Place]:
        """Where the children go within their parent's units; no two overlap."""
        free = [units]
        places: list[_Place] = []
        children = parent.children
        shares = self._shares([child.span for child in children])
        # What began before the sentence can only be at its beginning, and so on.
        order = sorted(
            range(len(children)), key=lambda i: bool(children[i].opening and children[i].closing)
        )
        for column in order:
            child = children[column]
            if child.is_point:
                continue
            found = self._best(child, shares[:, column], free, units)
            places.append(_Place(*found, child))
            free = [part for whole in free for part in _without(whole, found)]
        for child in children:
            if child.is_point:
                at = self._point(child, parent, units, places)
                places.append(_Place(at, at, child))
        ranks = {id(child): rank for rank, child in enumerate(children)}
        return sorted(places, key=lambda p: (p.first, p.last, ranks[id(p.element)]))

    def _best(
        self,
        child: _Element,
        shares: Shares,
        free: Sequence[tuple[int, int]],
        units: tuple[int, int],
    ) -> tuple[int, int]:
        """The run of free units that looks most at the child and least at anything else."""
        sums = np.concatenate([[0.0], np.cumsum(2 * shares - 1)])
        runs = [
            (float(sums[last] - sums[first]), first, last)
            for start, end in free
            for first in ([start] if not child.opening else range(start, end))
            for last in ([end] if not child.closing else range(first + 1, end + 1))
            if first < last
        ]
        good = [run for run in runs if run[0] > 0]
        if good:
            _, first, last = max(good, key=lambda run: (run[0], -run[1]))
            return first, last
        if not child.opening:
            return units[0], units[0]
        if not child.closing:
            return units[1], units[1]
        single = [run for run in runs if run[2] == run[1] + 1]
        if single:
            _, first, last = max(single, key=lambda run: run[0])
            return first, last
        at = free[-1][1] if free else units[1]
        return at, at

    def _point(
        self,
        child: _Element,
        parent: _Element,
        units: tuple[int, int],
        places: Sequence[_Place],
    ) -> int:
        """After the unit that comes from the word before it, and inside no sibling."""
        before = [word for word in words(self._text[: child.start]) if word.end > parent.start]
        if child.start == parent.start or not before:
            at = units[0]
        elif child.start == parent.end or units[0] == units[1]:
            at = units[1]
        else:
            shares = self._shares([before[-1]])[units[0] : units[1], 0]
            at = units[0] + int(shares.argmax()) + 1
        return next((p.last for p in places if p.first < at < p.last), at)

    def _shares(self, spans: Sequence[Span]) -> Shares:
        """As the projection says, but of what came back from a place it is certain."""
        shares = self._projection.shares(spans)
        for row, unit in enumerate(self._units):
            for link in self._links:
                if link.target.start < unit.end and unit.start < link.target.end:
                    shares[row] = overlap([link.source], spans)[0] if spans else shares[row]
        return shares


def _without(whole: tuple[int, int], part: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """What is left of a range of units."""
    (start, end), (first, last) = whole, part
    if not (start <= first and last <= end):
        yield whole
        return
    if start < first:
        yield start, first
    if last < end:
        yield last, end
