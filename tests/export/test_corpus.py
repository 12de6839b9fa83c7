"""Pair files and the mixture drawn from them."""

import gzip
import lzma
import unicodedata
from collections import Counter

import pytest

from model_export.data.corpus import CorpusError, Mixture, clean, load_pairs, read_pairs
from model_export.recipe import CorpusFile

PAIRS = [("Good morning.", "좋은 아침입니다."), ("Thanks!", "고마워요!")]
TEXT = "".join(f"{a}\t{b}\n" for a, b in PAIRS)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("pairs.tsv", TEXT.encode()),
        ("pairs.tsv.gz", gzip.compress(TEXT.encode())),
        ("pairs.tsv.xz", lzma.compress(TEXT.encode())),
        ("windows.tsv", TEXT.replace("\n", "\r\n").encode()),
    ],
)
def test_plain_and_compressed_files_are_read(tmp_path, name, data):
    """The ending of the name tells how to open a file; either line end will do."""
    (tmp_path / name).write_bytes(data)
    assert list(read_pairs(tmp_path / name)) == PAIRS


@pytest.mark.parametrize("line", ["one field", "a\tb\tc", ""])
def test_a_malformed_line_is_named(tmp_path, line):
    """The message says which file and which line."""
    path = tmp_path / "pairs.tsv"
    path.write_text(f"{TEXT}{line}\n", "utf-8")
    with pytest.raises(CorpusError, match=r"pairs\.tsv:3: \d fields where a pair has 2"):
        list(read_pairs(path))


def test_a_missing_file_is_named(tmp_path):
    """The message says which."""
    with pytest.raises(CorpusError, match=r"nowhere\.tsv: no such pair file"):
        list(read_pairs(tmp_path / "nowhere.tsv"))


def test_cleaning_composes_hangul_and_joins_white_space():
    """NFC and single spaces on both sides."""
    decomposed = unicodedata.normalize("NFD", "안녕")
    assert clean("  Good \u00a0 morning ", f"{decomposed}\u3000하세요") == (
        "Good morning",
        "안녕 하세요",
    )


@pytest.mark.parametrize(
    "pair",
    [("", "비어"), ("empty", " \u3000"), ("a" * 401, "b" * 401), ("short", "길다 " * 60)],
    ids=["empty", "blank", "long", "ratio"],
)
def test_pairs_that_teach_nothing_are_dropped(pair):
    """Empty, very long, or very different in length."""
    assert clean(*pair) is None


def test_a_pair_counts_once_in_its_file(tmp_path):
    """Duplicates, also those that differ by white space only, are dropped; order is kept."""
    (tmp_path / "pairs.tsv").write_text(f"{TEXT}Good  morning.\t좋은 아침입니다.\n", "utf-8")
    assert load_pairs([tmp_path], CorpusFile("pairs.tsv")) == PAIRS


@pytest.fixture
def folder(tmp_path):
    """Two files of numbered pairs."""
    for name, count in (("many.tsv", 100), ("few.tsv", 10)):
        lines = (f"{name} {i}\t{i} {name}\n" for i in range(count))
        (tmp_path / name).write_text("".join(lines), "utf-8")
    return tmp_path


def mixture_of(folder):
    """Half of many, two and a half of few; few one way only."""
    files = [
        CorpusFile("many.tsv", weight=0.5),
        CorpusFile("few.tsv", weight=2.5, directions=("ko-en",)),
    ]
    return Mixture([folder], files, ("en", "ko"))


def test_an_epoch_draws_each_file_by_its_weight(folder):
    """A weight of 2.5 is everything twice and half of it once more, in the directions asked."""
    drawn = Counter(mixture_of(folder).epoch(1, seed=1))
    many, few = ({p: n for p, n in drawn.items() if p[0] == f} for f in (0, 1))
    assert Counter(backward for _, _, backward in many) == {False: 50, True: 50}
    assert set(many.values()) == {1}
    assert all(backward for _, _, backward in few)
    assert Counter(few.values()) == {2: 5, 3: 5}


def test_epochs_are_drawn_anew_and_can_be_repeated(folder):
    """The same seed and number give the same draw; another number or seed another."""
    first = mixture_of(folder).epoch(1, seed=1)
    assert mixture_of(folder).epoch(1, seed=1) == first
    assert mixture_of(folder).epoch(2, seed=1) != first
    assert mixture_of(folder).epoch(1, seed=2) != first


def test_the_holdout_is_reproducible_and_not_trained_on(folder):
    """Held-out pairs leave the mixture, and the same seed holds out the same."""
    mixture, again, other = (mixture_of(folder) for _ in range(3))
    everything = {pair for pairs in mixture.pairs for pair in pairs}
    held = mixture.holdout(20, seed=1)
    left = {pair for pairs in mixture.pairs for pair in pairs}
    assert len(held) == 20
    assert left.isdisjoint(held)
    assert left.union(held) == everything
    assert again.holdout(20, seed=1) == held
    assert other.holdout(20, seed=2) != held


def test_a_pair_of_two_files_is_held_out_of_both(tmp_path):
    """What is in the dev set is in no file of the mixture."""
    for name in ("a.tsv", "b.tsv"):
        (tmp_path / name).write_text("".join(f"x {i}\ty {i}\n" for i in range(20)), "utf-8")
    mixture = Mixture([tmp_path], [CorpusFile("a.tsv"), CorpusFile("b.tsv")], ("en", "ko"))
    held = mixture.holdout(5, seed=1)
    assert {pair for pairs in mixture.pairs for pair in pairs}.isdisjoint(held)


def test_a_pair_file_is_looked_for_in_each_folder(tmp_path):
    """The first that has it; a message names all of them when none has."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        (folder / "both.tsv").write_text(f"{folder.name}\t하나\n", "utf-8")
    (folders[1] / "second.tsv").write_text("only here\t둘\n", "utf-8")
    assert load_pairs(folders, CorpusFile("both.tsv")) == [("one", "하나")]
    assert load_pairs(folders, CorpusFile("second.tsv")) == [("only here", "둘")]
    with pytest.raises(CorpusError, match=r"third.tsv: no such pair file in .*one, .*two"):
        load_pairs(folders, CorpusFile("third.tsv"))
