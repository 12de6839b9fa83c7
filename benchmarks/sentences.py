"""The texts that benchmarks translate: short, middling and long, in both directions.

`sentences.tsv`, English and Korean, is a part of the project's own dev set "authored", written
for it and given to the public domain (CC0 1.0). No model was trained on it.
"""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("sentences.tsv")
JOINED = (1, 1, 1, 1, 1, 1, 2, 2, 3, 4)
"""How many sentences make one, each as likely as the others."""
LONGEST = {"en": 160, "ko": 80}
"""Characters that stay below the 64 pieces which the shipped models read."""


@dataclass(frozen=True, slots=True)
class Text:
    """One sentence, and from which language into which."""

    text: str
    source: str
    target: str


def read_sentences() -> list[tuple[str, str]]:
    """English and Korean, one sentence each."""
    lines = FILE.read_text("utf-8").splitlines()
    return [(english, korean) for english, korean in (line.split("\t") for line in lines)]


def mixed_sentences(seed: int, longest: int = 4) -> Iterator[Text]:
    """Sentences without end, none twice: each bears a number, so no cache helps anybody.

    Several are joined into one by commas, at most `longest`; a sentence splitter leaves it whole.
    """
    rng = random.Random(seed)
    pairs = read_sentences()
    for number in itertools.count(1):
        source, target = rng.choice((("en", "ko"), ("ko", "en")))
        count = min(longest, rng.choice(JOINED))
        parts = [pair[source == "ko"] for pair in rng.sample(pairs, count)]
        joined = parts[0]
        for part in parts[1:]:
            longer = f"{joined.rstrip('.!?')}, {part}"
            joined = longer if len(longer) <= LONGEST[source] else joined
        yield Text(f"{number}: {joined}", source, target)
