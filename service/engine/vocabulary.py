"""Text to ids and back, through the bundle's SentencePiece models.

What a user types is always plain text: control symbols are added here and nowhere else.
"""

from collections.abc import Sequence
from pathlib import Path

import sentencepiece


def language_tag(language: str) -> str:
    """The control symbol that opens a source and names the language to translate into."""
    return f"<2{language}>"


class Vocabulary:
    """Source and target SentencePiece models; often one and the same file."""

    def __init__(self, source: Path, target: Path | None = None) -> None:
        self.source = sentencepiece.SentencePieceProcessor(model_file=str(source))
        self.target = self.source
        if target is not None and target != source:
            self.target = sentencepiece.SentencePieceProcessor(model_file=str(target))
        self.pad_id: int = self.target.pad_id()
        self.bos_id: int = self.target.bos_id()
        self.eos_id: int = self.target.eos_id()

    def encode_source(self, text: str, target_language: str) -> list[int]:
        """`<2xx>`, the pieces of `text`, eos."""
        tag = self.source.piece_to_id(language_tag(target_language))
        return [tag, *self.source.encode(text), self.source.eos_id()]

    def encode_target(self, text: str) -> list[int]:
        """bos, the pieces of `text`, eos."""
        return [self.bos_id, *self.target.encode(text), self.eos_id]

    def decode(self, ids: Sequence[int]) -> str:
        """Ids of a hypothesis -> text; control symbols leave no trace."""
        text: str = self.target.decode(list(ids))
        return text

    def __len__(self) -> int:
        """Pieces of the target vocabulary, V."""
        return len(self.target)
