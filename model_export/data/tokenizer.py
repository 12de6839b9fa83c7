"""Trains the SentencePiece model and turns examples into ids, as the service will at run time."""

from collections.abc import Iterable
from pathlib import Path

import sentencepiece

from model_export.recipe import TokenizerRecipe
from service.engine.vocabulary import language_tag

PLACEHOLDERS = tuple(chr(0xE000 + i) for i in range(10))
"""Private-use characters that stand for what must be copied; one piece each."""

PAD_ID, UNK_ID, BOS_ID, EOS_ID = 0, 1, 2, 3


def train_tokenizer(
    texts: Iterable[str], recipe: TokenizerRecipe, languages: tuple[str, ...], path: Path
) -> None:
    """Writes a unigram model (Kudo 2018) to `path`.

    Language tags are control symbols: a user who types one gets plain text, never a command.
    Bytes are the fallback, so nothing is unknown. NFKC keeps Hangul composed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=file,
            model_type="unigram",
            vocab_size=recipe.vocabulary_size,
            character_coverage=recipe.character_coverage,
            normalization_rule_name="nmt_nfkc",
            byte_fallback=True,
            split_digits=True,
            control_symbols=[language_tag(language) for language in languages],
            user_defined_symbols=list(PLACEHOLDERS),
            pad_id=PAD_ID,
            unk_id=UNK_ID,
            bos_id=BOS_ID,
            eos_id=EOS_ID,
            minloglevel=1,
        )
