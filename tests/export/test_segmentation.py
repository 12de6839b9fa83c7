"""Pieces cut in two by chance."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from model_export.data.corpus import Mixture
from model_export.data.dataset import TrainingStream
from model_export.data.segmentation import PieceSplitter
from model_export.data.tokenizer import PLACEHOLDERS
from model_export.recipe import AugmentationRecipe, CorpusFile, TrainingRecipe
from service.engine.vocabulary import Vocabulary

TEXTS = (
    "The workers were walking between two buildings.",
    "학생들이 도서관에서 기다리고 있었습니다.",
)


@pytest.fixture(scope="module")
def vocabulary():
    """The shipped one."""
    shipped = Path(__file__).parents[2] / "models" / "en-ko-transformer"
    return Vocabulary(shipped / "tokenizer.model")


@pytest.mark.parametrize("text", TEXTS)
def test_the_text_stays_the_same(vocabulary, text):
    """However many pieces are cut, they spell the same words; and other ones each time."""
    splitter, rng = PieceSplitter(vocabulary, 0.5), np.random.default_rng(1)
    ids = vocabulary.encode_target(text)
    ways = {tuple(splitter.split(ids, rng)) for _ in range(50)}
    assert {vocabulary.decode(way) for way in ways} == {text}
    assert len(ways) > 3


def test_a_share_of_the_pieces_is_cut(vocabulary):
    """And every way of cutting one is taken at some time."""
    splitter, rng = PieceSplitter(vocabulary, 0.25), np.random.default_rng(1)
    piece = max(splitter.halves, key=lambda each: len(splitter.halves[each]))
    drawn = Counter(tuple(splitter.split([piece], rng)) for _ in range(4000))
    assert drawn.pop((piece,)) == pytest.approx(3000, rel=0.05)
    assert set(drawn) == set(splitter.halves[piece])


def test_control_symbols_and_placeholders_are_whole(vocabulary):
    """They have no parts, nor has the mark that begins a word a part of its own."""
    splitter, rng = PieceSplitter(vocabulary, 0.999), np.random.default_rng(1)
    whole = [*vocabulary.encode_target(PLACEHOLDERS[0]), vocabulary.unk_id, vocabulary.pad_id]
    assert splitter.split(whole, rng) == whole
    halves = {each for ways in splitter.halves.values() for way in ways for each in way}
    assert vocabulary.target.piece_to_id("▁") not in halves


def test_nothing_is_cut_without_a_share(vocabulary):
    """The default: the ids as they are."""
    ids = vocabulary.encode_target(TEXTS[0])
    assert PieceSplitter(vocabulary, 0.0).split(ids, np.random.default_rng(1)) == ids


def test_an_epoch_is_cut_the_same_way_each_time(vocabulary, tmp_path):
    """So a run can be resumed; the next epoch is cut otherwise."""
    (tmp_path / "pairs.tsv").write_text("\t".join(TEXTS) + "\n", "utf-8")
    mixture = Mixture([tmp_path], [CorpusFile("pairs.tsv")], ("en", "ko"))
    augmentation = AugmentationRecipe(split_pieces=0.5)
    first, again = (
        TrainingStream(mixture, vocabulary, TrainingRecipe(updates=1), augmentation)
        for _ in range(2)
    )
    assert first.epoch(2) == again.epoch(2)
    assert first.draw(1) != first.draw(2)
