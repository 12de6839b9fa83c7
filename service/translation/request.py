"""What is asked of the pipeline."""

from collections.abc import Callable
from dataclasses import dataclass

from service.text.cutting import Cutting
from service.text.glossary import NO_TERMS, Glossary
from service.text.markup import PLAIN_MARKUP, MarkupOptions, TextFormat
from service.text.segmentation import Splitting
from service.translation.decoding import MODEL_DEFAULTS, DecodingChoice

Listener = Callable[[Callable[[], str]], None]
"""Told by a greedy search, while it translates a text of one sentence, how to spell what it has
said so far. It is called in a worker's thread after each step, so it must return at once."""


@dataclass(frozen=True, slots=True)
class TranslationRequest:
    """Texts to translate into one language."""

    texts: tuple[str, ...]
    source: str | None
    """The language of the texts; None finds out for each."""
    target: str
    model: str | None = None
    decoding: DecodingChoice = MODEL_DEFAULTS
    alignment: bool = False
    """Whether the best hypotheses come with what the model looked at."""
    bulk: bool = False
    """Whether others may go first."""
    format: TextFormat = TextFormat.TEXT
    markup: MarkupOptions = PLAIN_MARKUP
    splitting: Splitting = Splitting.SENTENCES
    glossary: Glossary = NO_TERMS
    token_scores: bool = False
    """Whether the best hypotheses come with the scores of their sentences and pieces."""
    listener: Listener | None = None

    @property
    def cutting(self) -> Cutting:
        """How the texts are taken apart."""
        return Cutting(self.format, self.markup, self.splitting, self.glossary)

    @property
    def characters(self) -> int:
        """Of all texts together."""
        return sum(map(len, self.texts))
