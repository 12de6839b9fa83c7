"""Pairs of which a model has made one side."""

import asyncio
import gzip

import pytest
from typer.testing import CliRunner

from model_export import synthesis
from model_export.cli import app
from model_export.data.corpus import CorpusError, read_pairs
from model_export.quality.evaluation import opened
from model_export.synthesis import (
    FAR,
    KEPT,
    UNCLEAN,
    done_before,
    read_texts,
    synthesise,
    write_pairs,
)
from service.engine.bundle import Direction
from service.errors import UnsupportedDirection
from service.translation.decoding import DecodingChoice
from service.translation.request import TranslationRequest
from service.translation.translator import Translator
from tests.export.toy import reverse

KO_EN = Direction("ko", "en")


def test_the_other_side_is_made_and_columns_keep_their_order(trained, tmp_path):
    """From the second column: what the model says stands in the first, in a compressed file."""
    texts = trained.toy.held_out[:40]
    pairs = "".join(f"said by people\t{text}\n" for text in texts)
    (tmp_path / "given.tsv").write_text(pairs, "utf-8")
    arguments = ["synthesise", str(trained.bundle.path), "given.tsv", "--corpora", str(tmp_path)]
    output = "made/back.tsv.gz"
    arguments += ["--direction", "ko-en", "--output", output, "--beam-size", "1"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    made = list(read_pairs(tmp_path / output))
    assert f"{len(made)} pairs" in result.output
    assert {given for _, given in made} <= set(texts)
    assert sum(said == reverse(given) for said, given in made) > 20
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["back.tsv.gz"]


def test_a_run_that_was_stopped_goes_on(trained, tmp_path, monkeypatch):
    """What an earlier run has translated stays as it is; half a line is made anew."""
    monkeypatch.setattr(synthesis, "TEXTS_PER_REQUEST", 4)
    texts = trained.toy.held_out[:20]
    (tmp_path / "plain.txt").write_text("\n".join(texts), "utf-8")
    store = tmp_path / "made.tsv.translations"
    store.write_text(f"{texts[0]}\tx y z\n{texts[1]}\tz y", "utf-8")
    synthesise(trained.bundle.path, [tmp_path / "plain.txt"], KO_EN, tmp_path / "made.tsv", 1)
    made = {given: said for said, given in read_pairs(tmp_path / "made.tsv")}
    assert made[texts[0]] == "x y z"
    assert sum(made.get(text) == reverse(text) for text in texts[1:]) > 10
    assert not store.exists()


def test_a_store_of_other_texts_is_refused(tmp_path):
    """Translations would belong to the wrong texts."""
    store = tmp_path / "made.tsv.translations"
    store.write_text("one\teins\n", "utf-8")
    assert done_before(store, ["one", "two"]) == 1
    with pytest.raises(CorpusError, match="begun with other texts"):
        done_before(store, ["two"])


def test_what_looks_wrong_is_left_out_and_counted(tmp_path):
    """Repetition, copies, empty lines and very unlike lengths teach nothing."""
    made = [
        ("I like the big red house.", "나는 큰 빨간 집이 좋아요."),
        ("I like the big red house.", "I like the big red house."),
        ("I really like it.", "정말 정말 정말 정말 정말 좋아요."),
        ("I like it.", ""),
        ("Yes.", "가나다라마바사아자차카타파하 " * 30),
    ]
    counted = write_pairs(tmp_path / "made.tsv", made, Direction("en", "ko"), reverse=False)
    assert list(read_pairs(tmp_path / "made.tsv")) == made[:1]
    assert counted[KEPT] == 1
    assert counted.total() == 5
    assert set(counted) > {KEPT, "copied_source", "empty"}


def test_a_length_that_training_would_not_read_is_left_out(tmp_path):
    """Even when nothing else is wrong with it."""
    text = ", ".join(f"{number} apples" for number in range(60))
    made = [(text, text.replace("apples", "개"))]
    counted = write_pairs(tmp_path / "made.tsv", made, Direction("en", "ko"), reverse=True)
    assert counted == {UNCLEAN: 1}


def test_of_a_beam_what_is_closest_to_the_other_side_is_taken(trained, tmp_path):
    """A reference that is not the likeliest hypothesis, but in the beam, comes back."""
    text = trained.toy.held_out[0]
    with opened(trained.bundle.path) as engine:
        request = TranslationRequest((text,), "ko", "en", decoding=DecodingChoice("beam", 4, 4))
        (found,) = asyncio.run(Translator([engine]).translate(request)).translations
    likeliest, *others = [each.text for each in found.hypotheses]
    wanted = next(each for each in others if each != likeliest)
    (tmp_path / "given.tsv").write_text(f"{wanted}\t{text}\n", "utf-8")
    arguments = ["synthesise", str(trained.bundle.path), "given.tsv", "--corpora", str(tmp_path)]
    arguments += ["--direction", "ko-en", "--output", "made.tsv", "--closest", "99"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert list(read_pairs(tmp_path / "made.tsv")) == [(wanted, text)]


def test_what_is_too_far_from_the_other_side_is_left_out(trained, tmp_path):
    """Even the closest hypothesis shares nothing with it."""
    (tmp_path / "given.tsv").write_text(f"0000 0000\t{trained.toy.held_out[0]}\n", "utf-8")
    given, made = [tmp_path / "given.tsv"], tmp_path / "made.tsv"
    assert synthesise(trained.bundle.path, given, KO_EN, made, 4, closest=10) == {FAR: 1}
    assert synthesise(trained.bundle.path, given, KO_EN, made, 4, closest=0) == {KEPT: 1}


def test_a_text_without_another_side_has_nothing_to_be_close_to(trained, tmp_path):
    """It is named, before anything is translated."""
    (tmp_path / "plain.txt").write_text("나무\n", "utf-8")
    plain, made = [tmp_path / "plain.txt"], tmp_path / "made.tsv"
    with pytest.raises(CorpusError, match="'나무' has no other side"):
        synthesise(trained.bundle.path, plain, KO_EN, made, 4, closest=0)


def test_texts_come_from_pair_files_and_plain_ones_once_each(tmp_path):
    """One column of pairs, every line of plain text; normalised, distinct, none empty."""
    (tmp_path / "a.tsv.gz").write_bytes(gzip.compress("one\t하나\ntwo\t둘\n".encode()))
    (tmp_path / "b.txt").write_text("둘\n\n 셋  넷\n", "utf-8")
    files = [tmp_path / "a.tsv.gz", tmp_path / "b.txt"]
    assert read_texts(files, column=1) == {"하나": "one", "둘": "two", "셋 넷": ""}
    with pytest.raises(CorpusError, match="no such file"):
        read_texts([tmp_path / "c.txt"], column=0)


def test_a_direction_that_is_not_served_is_refused(trained, tmp_path):
    """The message lists those that are."""
    with pytest.raises(UnsupportedDirection, match="en-ko, ko-en only"):
        synthesise(trained.bundle.path, [], Direction("en", "de"), tmp_path / "made.tsv", 1)
