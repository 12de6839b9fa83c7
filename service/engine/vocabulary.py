"""Text to ids and back, through the bundle's SentencePiece models.

What a user types is always plain text: control symbols are added here and nowhere else.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path

import sentencepiece

from service.engine.bundle import SOURCE_LAYOUT, Bundle, SourceLayout
from service.engine.request import TargetPrefix
from service.errors import BundleError

WORD = "\u2581"
"""SentencePiece's space, which begins the first piece of a word."""
LATER_PARTS = 8
"""Pieces at the end of a half word that one longer piece is looked for in place of."""


def language_tag(language: str) -> str:
    """The control symbol that opens a source and names the language to translate into."""
    return f"<2{language}>"


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece and what it stands for: text[start:end], in code points; empty for a control
    symbol, and for all but the last of the bytes that make up one character."""

    text: str
    start: int
    end: int


class Vocabulary:
    """Source and target SentencePiece models; often one and the same file.

    `spelt` are the target's pieces that spell text, with their ids, in the order of their spelling.
    """

    def __init__(
        self, source: Path, target: Path | None = None, layout: SourceLayout = SOURCE_LAYOUT
    ) -> None:
        self._parts = layout.split()
        self.source = sentencepiece.SentencePieceProcessor(model_file=str(source))
        self.target = self.source
        if target is not None and target != source:
            self.target = sentencepiece.SentencePieceProcessor(model_file=str(target))
        self.pad_id: int = self.target.pad_id()
        self.bos_id: int = self.target.bos_id()
        self.eos_id: int = self.target.eos_id()
        self.unk_id: int = self.target.unk_id()
        self.spelt: list[tuple[str, int]] = sorted(
            (self.target.id_to_piece(i), i)
            for i in range(len(self.target))
            if not (self.target.is_control(i) or self.target.is_byte(i) or i == self.unk_id)
        )

    def encode_source(self, text: str, target_language: str) -> list[int]:
        """`<2xx>`, the pieces of `text`, eos; what of these the model wants. Never empty."""
        ids: list[int] = self.source.encode(text)
        if "tag" in self._parts:
            ids.insert(0, self.source.piece_to_id(language_tag(target_language)))
        if "eos" in self._parts:
            ids.append(self.source.eos_id())
        return ids or [self.source.unk_id()]

    def encode_target(self, text: str) -> list[int]:
        """bos, the pieces of `text`, eos."""
        return [self.bos_id, *self.target.encode(text), self.eos_id]

    def target_prefix(self, text: str) -> TargetPrefix:
        """How a hypothesis begins whose text begins with `text`; that may end with half a word.

        Whole words are forced. A half is spelt otherwise than the word that it will be, so any
        piece may come that begins as it does: of the whole half, or else of a later part of it.
        """
        ids: list[int] = self.target.encode(text)
        pieces = [self.target.id_to_piece(i) for i in ids]
        if text[-1:].isspace():
            return TargetPrefix(tuple(ids), self._beginning(WORD) | {self.eos_id})
        words = [i for i, piece in enumerate(pieces) if piece.startswith(WORD)]
        word = max(words[-1] if words else 0, len(ids) - LATER_PARTS)
        for place in range(word, len(ids)):
            if openings := self._beginning("".join(pieces[place:])):
                return TargetPrefix(tuple(ids[:place]), openings, tuple(ids[place:]))
        return TargetPrefix(tuple(ids))

    def continue_prefix(self, prefix: str, translation: str) -> str:
        """A translation that was made to begin so, with the prefix to the letter: pieces know
        neither double spaces nor the forms of characters that they normalise."""
        said = self.decode(self.target.encode(prefix))
        if not translation.startswith(said):
            return translation
        rest = translation[len(said) :]
        return prefix + (rest.lstrip() if prefix[-1:].isspace() else rest)

    def _beginning(self, spelling: str) -> frozenset[int]:
        """The pieces that begin so, other than a bare space."""
        first = bisect_left(self.spelt, (spelling, 0))
        follow = islice(self.spelt, first, None)
        alike = takewhile(lambda each: each[0].startswith(spelling), follow)
        return frozenset(number for piece, number in alike if piece != WORD)

    def source_pieces(self, text: str, target_language: str) -> tuple[Piece, ...]:
        """The pieces of `encode_source`, with the part of `text` that each stands for."""
        cut = self.source.encode(text, return_type="offset_mapping")
        spans = zip(cut["pieces"], cut["offsets"], strict=True)
        pieces = [Piece(piece, *offsets) for piece, offsets in spans]
        if "tag" in self._parts:
            pieces.insert(0, Piece(language_tag(target_language), 0, 0))
        if "eos" in self._parts:
            eos = self.source.id_to_piece(self.source.eos_id())
            pieces.append(Piece(eos, len(text), len(text)))
        nothing = Piece(self.source.id_to_piece(self.source.unk_id()), 0, len(text))
        return tuple(pieces) or (nothing,)

    def target_pieces(self, ids: Sequence[int]) -> tuple[Piece, ...]:
        """The pieces of a hypothesis and eos, with the part of `decode(ids)` of each."""
        cut = self.target.decode(list(ids), return_type="offset_mapping")
        pieces = zip(cut["pieces"], cut["offsets"], strict=True)
        end = len(cut["text"])
        eos = self.target.id_to_piece(self.eos_id)
        return (*(Piece(piece, *offsets) for piece, offsets in pieces), Piece(eos, end, end))

    def decode(self, ids: Sequence[int]) -> str:
        """Ids of a hypothesis -> text; control symbols leave no trace."""
        text: str = self.target.decode(list(ids))
        return text

    def __len__(self) -> int:
        """Pieces of the target vocabulary, V."""
        return len(self.target)


def load_vocabulary(bundle: Bundle) -> Vocabulary:
    """The bundle's SentencePiece models. Raises BundleError where they and the manifest differ."""
    spec = bundle.manifest.vocabulary
    try:
        files = bundle.file(spec.source), bundle.file(spec.target)
        vocabulary = Vocabulary(*files, spec.source_layout)
    except (OSError, RuntimeError) as error:
        fault = f"{spec.source} or {spec.target} is not a SentencePiece model: {error}"
        raise BundleError(str(bundle.path), [fault]) from error
    found = {
        "size": len(vocabulary),
        "pad_id": vocabulary.pad_id,
        "bos_id": vocabulary.bos_id,
        "eos_id": vocabulary.eos_id,
    }
    faults = [
        f"vocabulary.{name} is {getattr(spec, name)}, the tokenizer says {value}"
        for name, value in found.items()
        if getattr(spec, name) != value
    ]
    tagged = "tag" in spec.source_layout.split()
    for direction in bundle.manifest.directions if tagged else ():
        tag = language_tag(direction.target)
        if vocabulary.source.piece_to_id(tag) == vocabulary.source.unk_id():
            faults.append(f"the tokenizer has no {tag} for direction {direction}")
    if faults:
        raise BundleError(str(bundle.path), faults)
    return vocabulary
