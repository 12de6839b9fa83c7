"""A toy language pair that a tiny Transformer learns in seconds: letters, and letters reversed."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

LETTERS = "abcdefghijkl"
HELD_OUT = 100

RECIPE = """
name = "toy"
version = "1"
languages = ["en", "ko"]

[tokenizer]
vocabulary_size = 297  # 256 bytes, 18 control symbols and placeholders, the letters
character_coverage = 1.0

[architecture]
kind = "transformer"
width = 48
feed_forward_width = 96
heads = 3
encoder_layers = 1
decoder_layers = 1
norm_placement = "pre"
dropout = {dropout}

[training]
updates = {updates}
warmup_updates = 50
schedule = "linear"
learning_rate = 6e-3
label_smoothing = 0.05
tokens_per_update = 900
tokens_per_batch = 900
max_length = 16
evaluate_every = {evaluate_every}
average_last = 2
bf16 = false

[[train]]
path = "train.tsv"
licence = "CC0"

[[dev]]
path = "dev.tsv"
licence = "CC0"
"""


@dataclass(frozen=True)
class Toy:
    """The files of the toy pair, and the texts that training never sees."""

    recipe: Path
    corpora: Path
    run: Path
    held_out: tuple[str, ...]

    @property
    def arguments(self) -> list[str]:
        """What most subcommands of `model-export` want to know."""
        return [str(self.recipe), "--corpora", str(self.corpora), "--run", str(self.run)]


def reverse(text: str) -> str:
    """The toy translation, in both directions."""
    return " ".join(reversed(text.split()))


def make_toy(
    folder: Path, updates: int, evaluate_every: int, pairs: int = 2000, dropout: float = 0.0
) -> Toy:
    """Writes corpora and recipe; trains nothing."""
    rng = np.random.default_rng(0)
    texts: dict[str, None] = {}
    while len(texts) < HELD_OUT + pairs:
        text = " ".join(rng.choice(list(LETTERS), rng.integers(3, 7)))
        if reverse(text) not in texts:  # both directions are trained, so it would be seen
            texts[text] = None
    lines = [f"{text}\t{reverse(text)}\n" for text in texts]
    corpora = folder / "corpora"
    corpora.mkdir(parents=True)
    (corpora / "dev.tsv").write_text("".join(lines[:HELD_OUT]), "utf-8")
    (corpora / "train.tsv").write_text("".join(lines[HELD_OUT:]), "utf-8")
    recipe = folder / "toy.toml"
    recipe.write_text(
        RECIPE.format(updates=updates, evaluate_every=evaluate_every, dropout=dropout), "utf-8"
    )
    return Toy(recipe, corpora, folder / "run", tuple(texts)[:HELD_OUT])
