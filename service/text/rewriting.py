"""A text with parts of it replaced, and which part of the one is which part of the other."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from service.text.alignment import Span


@dataclass(frozen=True, slots=True)
class Edit:
    """text[start:end] becomes `text`; where start and end are one, it is put in there."""

    start: int
    end: int
    text: str


class Rewriting:
    """Applies edits, which must not overlap. Those of one place keep their order."""

    __slots__ = ("_new", "_old", "after", "before", "placed")

    def __init__(self, before: str, edits: Iterable[Edit] = ()) -> None:
        self.before = before
        self._old: list[tuple[int, int]] = []
        self._new: list[tuple[int, int]] = []
        self.placed: list[tuple[Edit, Span]] = []
        """Each edit and where its text is."""
        parts, done, length = [], 0, 0
        for edit in sorted(edits, key=lambda e: (e.start, e.end)):
            if edit.start < done:
                raise ValueError(f"edits overlap at {edit.start}")
            parts += [before[done : edit.start], edit.text]
            length += edit.start - done
            self._old.append((edit.start, edit.end))
            self._new.append((length, length + len(edit.text)))
            self.placed.append((edit, Span(length, length + len(edit.text))))
            length += len(edit.text)
            done = edit.end
        self.after = "".join([*parts, before[done:]])

    def forward(self, span: Span) -> Span:
        """Where a part of `before` is in `after`; of what is replaced in part, all."""
        return _mapped(span, self._old, self._new) if self._old else span

    def backward(self, span: Span) -> Span:
        """Where a part of `after` comes from in `before`."""
        return _mapped(span, self._new, self._old) if self._old else span


class Chain:
    """One rewriting after another, the first of which is of `before`."""

    __slots__ = ("_steps", "after")

    def __init__(self, *steps: Rewriting) -> None:
        self._steps = steps
        self.after = steps[-1].after

    def forward(self, span: Span) -> Span:
        """Where a part of the first text is in the last one."""
        for step in self._steps:
            span = step.forward(span)
        return span

    def backward(self, span: Span) -> Span:
        """Where a part of the last text comes from in the first one."""
        for step in reversed(self._steps):
            span = step.backward(span)
        return span


def _mapped(span: Span, here: list[tuple[int, int]], there: list[tuple[int, int]]) -> Span:
    # What is put in or taken out at an edge of the span is no part of it.
    last = bisect_right(here, (span.start, span.start)) - 1
    start = span.start
    if last >= 0:
        edge = there[last]
        start = edge[0] if span.start < here[last][1] else edge[1] + span.start - here[last][1]
    first = bisect_left(here, (span.end, span.end))
    end = span.end
    if first > 0:
        edge = there[first - 1]
        end = max(edge[1], edge[1] + span.end - here[first - 1][1])
        if span.end < here[first - 1][1]:
            end = edge[1]
    return Span(min(start, end), max(start, end))
