"""Where pieces stand once their sentence is rewritten, or a part of a longer text."""

from collections.abc import Callable, Sequence

from service.engine.vocabulary import Piece
from service.text.alignment import Span


def spans_of(pieces: Sequence[Piece]) -> tuple[Span, ...]:
    """Where pieces stand."""
    return tuple(Span(piece.start, piece.end) for piece in pieces)


def moved(pieces: Sequence[Piece], move: Callable[[Span], Span]) -> tuple[Piece, ...]:
    """The pieces where a rewriting puts them."""
    spans = [move(Span(piece.start, piece.end)) for piece in pieces]
    return tuple(Piece(p.text, s.start, s.end) for p, s in zip(pieces, spans, strict=True))


def shift_pieces(pieces: Sequence[Piece], by: int) -> tuple[Piece, ...]:
    """The pieces of a sentence that begins at `by`."""
    return tuple(Piece(piece.text, piece.start + by, piece.end + by) for piece in pieces)
