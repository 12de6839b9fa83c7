"""Text to ids and back, through the bundle's SentencePiece models.

What a user types is always plain text: control symbols are added here and nowhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sentencepiece

from service.engine.bundle import SOURCE_LAYOUT, Bundle, SourceLayout
from service.errors import BundleError


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
    """Source and target SentencePiece models; often one and the same file."""

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
