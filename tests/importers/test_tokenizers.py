"""Rewritten SentencePiece models: text is cut as before, ids are rows, commands are not typed."""

import numpy as np
import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from model_export.importers.files import read_marian_vocabulary
from model_export.importers.imported import Side
from model_export.importers.languages import language_code, tagged_languages
from model_export.importers.tokenizers import (
    EMPTY,
    ROWS_STEP,
    source_table,
    target_table,
    tokenizer_faults,
)
from service.engine.vocabulary import Vocabulary
from tests.importers.tiny import LETTERS, train_pieces

TAGS = {"ko": ">>kor<<", "de": ">>deu<<"}


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def sides(request, tmp_path_factory):
    """A source whose list lacks five pieces of its SentencePiece model, and a target; the list of
    each holds pieces of the other, in an order of its own."""
    folder = tmp_path_factory.mktemp("pieces")
    source = train_pieces(folder / "source.spm", 1, model_type=request.param)
    target = train_pieces(folder / "target.spm", 2, model_type=request.param)
    both = sorted({*source[5:], *target} - {*source[:5]})
    first = ("</s>", "<unk>", *TAGS.values(), *both, "é", "<pad>")
    second = ("<unk>", *reversed(target), "</s>", "<pad>")
    return (
        Side(folder / "source.spm", first, "<unk>", "</s>"),
        Side(folder / "target.spm", second, "<unk>", "</s>"),
    )


@pytest.fixture(scope="module")
def rewritten(sides, tmp_path_factory):
    """Both tables, and the vocabulary that the service makes of them."""
    target = target_table(sides[1], "<pad>", None)
    source = source_table(sides[0], "<pad>", target.pad_id, TAGS)
    folder = tmp_path_factory.mktemp("rewritten")
    (folder / "source.model").write_bytes(source.model)
    (folder / "target.model").write_bytes(target.model)
    vocabulary = Vocabulary(folder / "source.model", folder / "target.model")
    return source, target, vocabulary


def test_they_fit(sides):
    """Five missing pieces are no fault."""
    assert [*tokenizer_faults(sides[0])] == [*tokenizer_faults(sides[1])] == []


WORDS = st.one_of(st.text(alphabet=LETTERS, min_size=1, max_size=8), st.sampled_from("éß한</"))


@given(words=st.lists(WORDS, max_size=8))
def test_a_text_becomes_the_rows_of_its_pieces(sides, rewritten, words):
    """As a look-up in the list does it: what is not in the list is unknown, even if the
    SentencePiece model knows it; a strange character that is in the list is passed on."""
    source, _, vocabulary = rewritten
    plain = sentencepiece.SentencePieceProcessor(model_file=str(sides[0].tokenizer))
    known = {piece: row for row, piece in enumerate(sides[0].pieces)}
    text = " ".join(words)
    expected = [known.get(piece, known["<unk>"]) for piece in plain.encode(text, out_type=str)]
    tag, *ids, eos = vocabulary.encode_source(text, "ko")
    assert source.rows[ids].tolist() == expected
    assert source.rows[tag] == known[">>kor<<"]
    assert source.rows[eos] == known["</s>"]


@given(text=st.sampled_from([">>kor<<", "<2ko>", "</s>", "<pad>", "<s>", "<row 130>"]))
def test_a_typed_control_symbol_is_plain_text(rewritten, text):
    """It gives none of the ids that mean something to the model."""
    source, _, vocabulary = rewritten
    special = {source.ids[name] for name in ("<2ko>", "<2de>", "</s>", "<pad>")}
    assert special.isdisjoint(vocabulary.encode_source(f"ab {text} cd", "de")[1:-1])


def test_special_ids_are_alike_on_both_sides(sides, rewritten):
    """The service pads sources with the target's pad, and starts from a row of zeros."""
    source, target, vocabulary = rewritten
    assert vocabulary.pad_id == target.pad_id == source.pad_id
    assert source.rows[source.pad_id] == sides[0].pieces.index("<pad>")
    assert vocabulary.bos_id == target.start_id
    assert target.rows[target.start_id] == EMPTY
    assert target.rows[vocabulary.eos_id] == sides[1].pieces.index("</s>")


def test_a_targets_rows_stay_where_they_are(sides, rewritten):
    """Its ids are those of the files, and it is filled up to a size that has many divisors."""
    _, target, vocabulary = rewritten
    count = len(sides[1].pieces)
    assert target.rows[:count].tolist() == list(range(count))
    assert set(target.rows[count:].tolist()) == {EMPTY}
    assert len(vocabulary) == len(target.rows) == -(-(count + 1) // ROWS_STEP) * ROWS_STEP


def test_a_translation_is_spelt_as_the_target_spells_it(sides, rewritten):
    """And specials leave no trace."""
    vocabulary = rewritten[2]
    plain = sentencepiece.SentencePieceProcessor(model_file=str(sides[1].tokenizer))
    text = plain.decode(plain.encode("abc dd ef"))
    ids = vocabulary.target.encode(text)
    assert vocabulary.decode([*ids, vocabulary.pad_id, vocabulary.eos_id]) == text
    pieces = vocabulary.target_pieces(ids)
    assert "".join(text[p.start : p.end] for p in pieces) == text


def test_every_piece_of_a_source_has_its_place(rewritten):
    """Pieces for alignment are as many as ids, for a text of no pieces too."""
    source, _, vocabulary = rewritten
    bare = Vocabulary.__new__(Vocabulary)
    bare.__dict__.update(vocabulary.__dict__, _parts=["pieces"])
    for each in (vocabulary, bare):
        for text in ("ab cd", "", "한"):
            pieces = each.source_pieces(text, "ko")
            assert len(pieces) == len(each.encode_source(text, "ko")) > 0
    assert np.equal(source.rows[bare.encode_source("", "ko")], source.rows[source.ids["<unk>"]])


def test_languages_are_known_by_three_letters_too():
    """Scripts and regions are left out; of several tags the plainest wins."""
    assert [language_code(name) for name in ("kor", "ko", "cmn_Hans", "pt-BR")] == [
        "ko",
        "ko",
        "zh",
        "pt",
    ]
    assert language_code("ROMANCE") is None
    assert tagged_languages(["cmn_Hant", "cmn", "deu", "zlw_x"]) == {
        "zh": "cmn",
        "de": "deu",
        "zlw": "zlw_x",
    }


def test_marians_vocabularies_are_read_as_they_are_written(tmp_path):
    """Quoted in either way, escaped, bare, and with a long key in a line of its own."""
    path, faults = tmp_path / "vocab.yml", []
    lines = ["</s>: 0", '"<unk>": 1', "'it''s': 2", '"\\xa0\\"": 3', "a: b: 4", "? long", ": 5", ""]
    path.write_text("\n".join(lines), "utf-8")
    pieces = read_marian_vocabulary(path, faults)
    assert pieces == ("</s>", "<unk>", "it's", '\xa0"', "a: b", "long")
    assert faults == []
