"""Sentences to try a model on and to measure its ranges with: given ones, or drawn ones.

Drawn sentences are pieces of the source's tokenizer, as frequent as it takes them to be. They mean
nothing, but they reach what a model reads: every frequent piece, short and long.
"""

from pathlib import Path

import numpy as np
import sentencepiece

from model_export.importers.imported import ImportFaults

SHORTEST, LONGEST = 4, 40
LONGEST_TEXT = 400
"""Characters of a line that is read."""


def read_lines(path: Path, count: int) -> list[str]:
    """The first lines of a text file that hold anything; of pairs, their first column."""
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise ImportFaults(path, [f"this is no text in UTF-8: {error}"]) from error
    texts = [line.split("\t")[0].strip()[:LONGEST_TEXT] for line in lines]
    return [text for text in texts if text][:count]


def draw_lines(tokenizer: Path, count: int, seed: int = 0) -> list[str]:
    """Sentences of random pieces."""
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer))
    pieces = [
        i
        for i in range(len(processor))
        if not (
            processor.is_control(i)
            or processor.is_unknown(i)
            or processor.is_unused(i)
            or processor.is_byte(i)
        )
    ]
    scores = np.array([processor.get_score(i) for i in pieces])
    if np.equal(scores, np.round(scores)).all():  # ranks of merges, not log-probabilities
        scores = -np.log(np.argsort(np.argsort(-scores)) + len(scores) / 100 + 1)
    shares = np.exp(scores - scores.max())
    rng = np.random.default_rng(seed)
    lines = []
    for _ in range(count):
        length = int(rng.integers(SHORTEST, LONGEST + 1))
        drawn = rng.choice(pieces, length, p=shares / shares.sum()).tolist()
        lines.append(processor.decode(drawn).strip())
    return [line for line in lines if line]
