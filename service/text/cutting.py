"""From a text in any format to the sentences in it, with what is not for the model to see.

Brings together markup, protection and segmentation. Knows no model.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from service.text.alignment import Span
from service.text.glossary import NO_TERMS, Glossary
from service.text.markup import PLAIN_MARKUP, MarkupOptions, Run, Tag, TagKind, TextFormat, read
from service.text.markup_projection import MarkedSentence
from service.text.protection import Kind, Protected, Shielded, find_protected, mask, shield
from service.text.rewriting import Edit, Rewriting
from service.text.segmentation import Splitting, segment_to_fit


@dataclass(frozen=True, slots=True)
class Cutting:
    """How texts are taken apart."""

    format: TextFormat = TextFormat.TEXT
    markup: MarkupOptions = PLAIN_MARKUP
    splitting: Splitting = Splitting.SENTENCES
    glossary: Glossary = NO_TERMS

    def splitting_of(self, text: str) -> Splitting:
        """A line break ends a sentence, but among the tags of HTML it is white space."""
        if self.format is not TextFormat.HTML or self.splitting is not Splitting.SENTENCES:
            return self.splitting
        return Splitting.NO_NEWLINES if "<" in text else Splitting.SENTENCES


@dataclass(frozen=True, slots=True)
class CutSentence:
    """A sentence, and where it is in its text; with its markup, if the text has any."""

    place: Span
    shielded: Shielded
    marked: MarkedSentence | None


def cut_text(
    text: str, language: str, fits: Callable[[str], bool], cutting: Cutting
) -> list[CutSentence]:
    """The sentences of a text, in order. `fits` gets sentences with opaque parts."""
    splitting = cutting.splitting_of(text)
    found = []
    for run in read(text, cutting.format, cutting.markup):
        plain = run.rewriting.after
        protected = _all_protected(plain, run.protected)
        starts = [each.span.start for each in protected]
        masked = segment_to_fit(mask(plain, protected), language, fits, splitting)
        for start, sentence in zip(masked.starts(masked.sentences), masked.sentences, strict=True):
            span = Span(start, start + len(sentence))
            inside = protected[bisect_left(starts, span.start) : bisect_left(starts, span.end)]
            span = _without_edges(plain, span, inside)
            found.append(_cut(run, span, tuple(_within(span, inside)), cutting.format))
    return found


def _cut(
    run: Run, span: Span, protected: tuple[Protected, ...], text_format: TextFormat
) -> CutSentence:
    shielded = shield(run.rewriting.after[span.start : span.end], protected)
    if text_format is TextFormat.TEXT:
        return CutSentence(span.shifted(run.start), shielded, None)
    place = _with_its_tags(run, run.rewriting.backward(span))
    marked = _marked(run, span, place, protected)
    return CutSentence(place.shifted(run.start), shielded, marked)


def _with_its_tags(run: Run, place: Span) -> Span:
    """Tags that touch a sentence belong to it if they open or close an element that has its other
    tag in the sentence."""
    start, end = place.start, place.end
    # Tags stand in order, so the first that does not belong to the sentence ends the search.
    for at in range(_from(run.tags, end), len(run.tags)):
        tag = run.tags[at]
        closes = tag.kind is TagKind.CLOSE and run.pairs.get(tag.start, -1) >= start
        if tag.start != end or not closes:
            break
        end += len(tag.raw)
    for at in range(_from(run.tags, start) - 1, -1, -1):
        tag = run.tags[at]
        opens = tag.kind is TagKind.OPEN and run.pairs.get(tag.start, end) < end
        if tag.start + len(tag.raw) != start or not opens:
            break
        start = tag.start
    return Span(start, end)


def _marked(run: Run, span: Span, place: Span, protected: tuple[Protected, ...]) -> MarkedSentence:
    raw = run.rewriting.before[place.start : place.end]
    edits = [
        Edit(edit.start - place.start, edit.end - place.start, edit.text)
        for edit in run.edits[_from(run.edits, place.start) : _from(run.edits, place.end)]
    ]
    tags = [
        replace(tag, at=tag.at - span.start, start=tag.start - place.start)
        for tag in run.tags[_from(run.tags, place.start) : _from(run.tags, place.end)]
    ]
    return MarkedSentence(Rewriting(raw, edits), tuple(tags), protected)


def _from(marks: Sequence[Edit] | Sequence[Tag], start: int) -> int:
    """The place of the first mark, of some in order, that begins at `start` or later."""
    return bisect_left(marks, start, key=lambda mark: mark.start)


def _all_protected(text: str, given: Sequence[Protected]) -> tuple[Protected, ...]:
    """What is found in a text, besides what is known already; in order, as `given` is."""
    found = find_protected(text)
    if not given:
        return found
    ends = [each.span.end for each in given]

    def is_new(span: Span) -> bool:
        after = bisect_right(ends, span.start)
        return after == len(given) or span.end <= given[after].span.start

    new = [each for each in found if is_new(each.span)]
    return tuple(sorted([*new, *given], key=lambda each: each.span))


def _without_edges(text: str, span: Span, protected: Sequence[Protected]) -> Span:
    """Pictures at the ends of a sentence are no part of it."""
    pictures = [each.span for each in protected if each.kind is Kind.PICTURE]
    start, end = span.start, span.end
    for picture in pictures:
        if picture.start == start:
            start = end - len(text[picture.end : end].lstrip())
    for picture in reversed(pictures):
        if picture.end == end and picture.start > start:
            end = start + len(text[start : picture.start].rstrip())
    return Span(start, end)


def _within(span: Span, protected: Sequence[Protected]) -> Iterator[Protected]:
    """What is protected of a sentence, counted from its beginning."""
    for each in protected:
        if span.start <= each.span.start and each.span.end <= span.end:
            yield Protected(each.span.shifted(-span.start), each.kind)
