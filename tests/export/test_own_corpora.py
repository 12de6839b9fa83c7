"""The texts that the project brings along."""

import re
from pathlib import Path

import pytest

from model_export.data.corpus import clean, read_pairs
from model_export.quality.challenge.sentences import load_sentences
from service.engine.bundle import Direction

FILES = sorted((Path(__file__).parents[2] / "corpora").glob("*.tsv.gz"))
LONGER = 8
"""Letters. What has no more is a set phrase, which may stand anywhere."""


def letters(text):
    """Without capitals, spaces and marks."""
    return re.sub(r"[^0-9a-z가-힣]+", "", text.lower())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_pairs_can_be_read_and_are_distinct(path):
    """English first, then Korean; none that training would leave out."""
    pairs = list(read_pairs(path))
    assert len(set(pairs)) == len(pairs) > 5_000
    for english, korean in pairs:
        assert clean(english, korean) == (english, korean)
        assert not re.search("[가-힣]", english)
        assert re.search("[가-힣]", korean)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_challenge_sentence_is_trained_on(path):
    """On neither side."""
    directions = Direction("en", "ko"), Direction("ko", "en")
    asked = {letters(each.source) for way in directions for each in load_sentences(way)}
    known = {letters(text) for pair in read_pairs(path) for text in pair}
    assert all(len(text) <= LONGER for text in asked & known)
