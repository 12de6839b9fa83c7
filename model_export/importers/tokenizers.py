"""Rewrites SentencePiece models so that a piece's id is its row in the model's tables.

Marian and OpenNMT look pieces up in a list of their own. Here the list becomes the SentencePiece
model's order, so that the service needs no second numbering: text is cut as before, and what the
list lacks is unknown as before. Rows that no piece has are zeros and are never said.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sentencepiece
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from sentencepiece import sentencepiece_model_pb2

from model_export.importers.imported import Side
from service.engine.vocabulary import language_tag

Model: Any = sentencepiece_model_pb2.ModelProto  # type: ignore[attr-defined]
Kinds: Any = Model.SentencePiece
ROWS_STEP = 64
"""Tables get a multiple of so many rows: candidates are chosen in groups, and primes have none."""
FITTING = 0.5
"""The part of a SentencePiece model's pieces that a list of pieces must have at least; what has
fewer was made for another language."""
EMPTY = -1
"""A row without a vector in the files."""
PLACEHOLDER = "<row {}>"
UNKNOWN_PENALTY = 10
"""How much less likely than its least likely piece SentencePiece takes a strange character for."""


@dataclass(frozen=True, slots=True)
class Table:
    """A rewritten SentencePiece model, and where each of its pieces has its vector."""

    model: bytes = field(repr=False)
    rows: NDArray[np.int64]
    """The row of the file's table, or EMPTY."""
    ids: Mapping[str, int]
    pad_id: int
    start_id: int


def tokenizer_faults(side: Side) -> Iterator[str]:
    """What is wrong with a side's SentencePiece model, or with its list of pieces."""
    try:
        model = read_model(side)
        sentencepiece.SentencePieceProcessor(model_proto=side.tokenizer.read_bytes())
    except (OSError, RuntimeError, DecodeError) as error:
        yield f"{side.tokenizer.name} is not a SentencePiece model: {error}"
        return
    if repeated := len(side.pieces) - len(set(side.pieces)):
        yield f"{repeated} pieces stand twice in the vocabulary"
    for piece in (side.unknown, side.eos):
        if piece not in side.pieces:
            yield f"the vocabulary has no {piece}"
    ordinary = {each.piece for each in model.pieces if each.type == Kinds.NORMAL}
    known = len(ordinary & set(side.pieces))
    if known < FITTING * len(ordinary) or not ordinary:
        yield (
            f"the vocabulary has {known} of the {len(ordinary)} pieces of {side.tokenizer.name}: "
            "it is another model's"
        )


def read_model(side: Side) -> Any:
    """A side's SentencePiece model."""
    return Model.FromString(side.tokenizer.read_bytes())


def source_table(side: Side, pad: str | None, pad_id: int, tags: Mapping[str, str]) -> Table:
    """The source's tokenizer; pad stands at `pad_id`, `tags` map languages to pieces.

    Pieces that only the SentencePiece model knows keep ids of their own, with unknown's vector.
    """
    model, known = read_model(side), set(side.pieces)
    extra = [each.piece for each in model.pieces if each.piece not in known and _cut(each)]
    unknown = side.pieces.index(side.unknown)
    pieces = [*side.pieces, *extra]
    rows = [*range(len(side.pieces)), *(unknown for _ in extra)]
    place = pieces.index(pad) if pad is not None else len(pieces)
    while len(pieces) <= max(place, pad_id):
        pieces.append(PLACEHOLDER.format(len(pieces)))
        rows.append(EMPTY)
    for each in (pieces, rows):
        each[place], each[pad_id] = each[pad_id], each[place]
    named = {piece: language_tag(language) for language, piece in tags.items()}
    control = {side.eos, pieces[pad_id], *tags.values()}
    foreign = {piece for piece in known if len(piece) == 1 and not piece.isspace()}
    # As control symbols they are out of the way: merges would go through unused pieces.
    rewritten = _rewrite(model, side, pieces, control, named, foreign, Kinds.CONTROL)
    return _finish(rewritten, rows, (pieces[pad_id], pieces[pad_id], side.eos))


def target_table(side: Side, pad: str | None, start: str | None) -> Table:
    """The target's tokenizer. Its pieces are the list's alone: no other could be said."""
    pieces, rows = list(side.pieces), list(range(len(side.pieces)))
    if pad is None or pad not in pieces or start is None or len(pieces) % ROWS_STEP:
        count = -(-(len(pieces) + 1) // ROWS_STEP) * ROWS_STEP
        rows += [EMPTY] * (count - len(pieces))
        pieces += [PLACEHOLDER.format(number) for number in range(len(pieces), count)]
    empty = pieces[len(side.pieces)] if len(pieces) > len(side.pieces) else ""
    pad = pad if pad in pieces else empty
    start = start if start is not None else empty
    control = {side.eos, pad, start}
    # Unused pieces are never cut, but can be said.
    rewritten = _rewrite(read_model(side), side, pieces, control, {}, set(), Kinds.UNUSED)
    return _finish(rewritten, rows, (pad, start, side.eos))


def _cut(piece: Any) -> bool:
    """Whether text can be cut into it."""
    return piece.type in (Kinds.NORMAL, Kinds.USER_DEFINED, Kinds.BYTE)


def _rewrite(
    model: Any,
    side: Side,
    pieces: list[str],
    control: set[str],
    named: Mapping[str, str],
    foreign: set[str],
    strange: int,
) -> Any:
    """The model with these pieces in this order. `strange` is what becomes of pieces that it does
    not know, except for `foreign` ones, single characters that are passed on."""
    known = {each.piece: each for each in model.pieces}
    lowest = min((each.score for each in model.pieces), default=0.0) - UNKNOWN_PENALTY
    rewritten = Model()
    rewritten.CopyFrom(model)
    del rewritten.pieces[:]
    for piece in pieces:
        before = known.get(piece)
        kind = before.type if before is not None and _cut(before) else strange
        score = before.score if before is not None else lowest
        if piece == side.unknown:
            kind = Kinds.UNKNOWN
        elif piece in control or piece.startswith("<row ") or _is_special(piece):
            kind = Kinds.CONTROL
        elif before is None and piece in foreign:
            kind = Kinds.NORMAL
        rewritten.pieces.add(piece=named.get(piece, piece), score=score, type=kind)
    rewritten.trainer_spec.unk_piece = side.unknown
    _check_bytes(rewritten)
    rewritten.trainer_spec.vocab_size = len(pieces)
    return rewritten


def _check_bytes(model: Any) -> None:
    """A model spells strange characters in bytes only if it has all of them."""
    found = [each for each in model.pieces if each.type == Kinds.BYTE]
    model.trainer_spec.byte_fallback = len(found) == 256
    if len(found) != 256:
        for each in found:
            each.type = Kinds.UNUSED


def _is_special(piece: str) -> bool:
    return piece in ("<s>", "</s>", "<pad>", "<blank>") or (
        piece.startswith(">>") and piece.endswith("<<")
    )


def _finish(model: Any, rows: list[int], special: tuple[str, str, str]) -> Table:
    spec = model.trainer_spec
    spec.pad_piece, spec.bos_piece, spec.eos_piece = pad, start, _ = special
    ids = {each.piece: number for number, each in enumerate(model.pieces)}
    return Table(model.SerializeToString(), np.array(rows), ids, ids[pad], ids[start])


def tags_of(pieces: tuple[str, ...]) -> Iterator[str]:
    """The codes of the pieces `>>code<<`, which name a language to translate into."""
    for piece in pieces:
        if piece.startswith(">>") and piece.endswith("<<") and len(piece) > 4:
            yield piece[2:-2]
