"""A real SentencePiece model: text in, ids, text out; and no way to type a control symbol."""

import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_export.data.tokenizer import PLACEHOLDERS, train_tokenizer
from model_export.recipe import TokenizerRecipe
from service.engine.bundle import Bundle, Direction
from service.engine.vocabulary import Vocabulary, language_tag, load_vocabulary
from service.errors import BundleError
from tests.fakes import make_manifest

SENTENCES = [
    "Good morning. How are you today?",
    "The quick brown fox jumps over the lazy dog.",
    "She sells 12 sea shells for 345 won.",
    "좋은 아침입니다. 오늘 기분이 어떠세요?",
    "저는 서울에 사는 학생이고 책을 좋아해요.",
    "비가 오니까 우산을 가지고 가세요.",
] * 20
CONTROL = ["<pad>", "<unk>", "<s>", "</s>", "<2ko>", "<2en>"]


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
    """Trained on a few sentences, as a run trains its own."""
    path = tmp_path_factory.mktemp("vocabulary") / "tokenizer.model"
    recipe = TokenizerRecipe(vocabulary_size=350, character_coverage=1.0)
    train_tokenizer(SENTENCES, recipe, ("en", "ko"), path)
    return Vocabulary(path)


@pytest.fixture(scope="module")
def control_ids(vocabulary):
    """Ids of everything that is a command to the model."""
    ids = [vocabulary.source.piece_to_id(piece) for piece in CONTROL]
    assert len(set(ids)) == len(CONTROL)
    return frozenset(ids)


def round_trip(vocabulary, text):
    """The text after the way through ids."""
    return vocabulary.decode(vocabulary.encode_target(text))


def test_a_source_begins_with_the_tag_and_ends_with_eos(vocabulary):
    """The target language is named first; a target is framed by bos and eos."""
    first, *pieces, last = vocabulary.encode_source("Good morning.", "ko")
    assert vocabulary.source.id_to_piece(first) == language_tag("ko") == "<2ko>"
    assert last == vocabulary.eos_id
    bos = vocabulary.bos_id
    assert vocabulary.encode_target("Good morning.") == [bos, *pieces, vocabulary.eos_id]


def test_special_ids_are_those_of_the_model(vocabulary):
    """Padding is 0, and each special piece has an id of its own."""
    ids = [vocabulary.pad_id, vocabulary.bos_id, vocabulary.eos_id]
    assert [vocabulary.target.id_to_piece(i) for i in ids] == ["<pad>", "<s>", "</s>"]
    assert vocabulary.pad_id == 0
    assert len(vocabulary) == 350


@pytest.mark.parametrize("symbol", CONTROL)
@pytest.mark.parametrize("text", ["{}", "Say {} to her.", "{}{}", "가{}나", "  {}"])
def test_a_typed_control_symbol_is_plain_text(vocabulary, control_ids, symbol, text):
    """It gives ordinary pieces, never a command, and comes back as it was typed."""
    typed = text.replace("{}", symbol)
    _, *pieces, _ = vocabulary.encode_source(typed, "ko")
    assert control_ids.isdisjoint(pieces)
    assert vocabulary.decode(pieces) == typed.strip()


@given(text=st.text(max_size=40))
def test_no_text_gives_a_control_id(vocabulary, control_ids, text):
    """Whatever is typed: one tag, one eos, and ordinary pieces between."""
    tag, *pieces, last = vocabulary.encode_source(text, "en")
    assert {tag, last} == {vocabulary.source.piece_to_id("<2en>"), vocabulary.eos_id}
    assert control_ids.isdisjoint(pieces)


@pytest.mark.parametrize("text", ["🦊 fox", "國語辭典", "Ελλάδα", "𠮷野家", "한글😀", "뷁"])
def test_unknown_characters_survive_as_bytes(vocabulary, control_ids, text):
    """Nothing is unknown: what was never seen in training comes back all the same."""
    assert control_ids.isdisjoint(vocabulary.encode_target(text)[1:-1])
    assert round_trip(vocabulary, text) == text


def test_decomposed_hangul_comes_back_composed(vocabulary):
    """Letters typed one by one (NFD) are the same pieces as whole syllables."""
    composed = "좋은 아침입니다."
    decomposed = unicodedata.normalize("NFD", composed)
    assert len(decomposed) > len(composed)
    assert vocabulary.encode_target(decomposed) == vocabulary.encode_target(composed)
    assert round_trip(vocabulary, decomposed) == composed


def test_a_placeholder_is_one_piece(vocabulary):
    """What is to be copied cannot be torn apart, wherever it stands."""
    text = f"Press {PLACEHOLDERS[0]}, then{PLACEHOLDERS[1]}{PLACEHOLDERS[9]}을 누르세요."
    pieces = vocabulary.encode_target(text)
    ids = [vocabulary.source.piece_to_id(mark) for mark in PLACEHOLDERS]
    assert len(set(ids)) == len(PLACEHOLDERS)
    assert vocabulary.target.unk_id() not in ids
    assert [piece for piece in pieces if piece in ids] == [ids[0], ids[1], ids[9]]
    assert round_trip(vocabulary, text) == text


def test_digits_are_pieces_of_their_own(vocabulary):
    """A number is spelt, so that it can be copied digit by digit."""
    pieces = [vocabulary.source.id_to_piece(i) for i in vocabulary.encode_target("12 345")[1:-1]]
    assert "".join(pieces).replace("▁", "") == "12345"
    assert all(len(piece.replace("▁", "")) <= 1 for piece in pieces)


def test_control_symbols_in_a_hypothesis_leave_no_trace(vocabulary):
    """A model that says a tag or padding does not show it to the reader."""
    pieces = vocabulary.encode_target("Good morning.")
    tag = vocabulary.source.piece_to_id("<2ko>")
    assert vocabulary.decode([tag, *pieces, vocabulary.pad_id, tag]) == "Good morning."


def test_nothing_is_an_empty_text(vocabulary):
    """No pieces, no text."""
    assert vocabulary.decode([]) == ""


def test_source_and_target_can_be_two_models(vocabulary, tmp_path):
    """Imported models may have a vocabulary for each side."""
    source, target = tmp_path / "source.model", tmp_path / "target.model"
    source.write_bytes(vocabulary.source.serialized_model_proto())
    recipe = TokenizerRecipe(vocabulary_size=345, character_coverage=1.0)
    train_tokenizer(SENTENCES, recipe, ("en", "ko"), target)
    both = Vocabulary(source, target)
    assert len(both) == 345
    assert both.encode_source("Good", "ko") == vocabulary.encode_source("Good", "ko")
    assert both.decode(both.encode_target("Good")) == "Good"


@pytest.fixture
def bundle(vocabulary, tmp_path):
    """A bundle whose manifest fits the tokenizer in it; it has no graphs."""
    (tmp_path / "v.model").write_bytes(vocabulary.source.serialized_model_proto())
    manifest = make_manifest()
    spec = replace(manifest.vocabulary, size=len(vocabulary))
    return Bundle(tmp_path, replace(manifest, vocabulary=spec))


def test_a_bundles_vocabulary_is_loaded(bundle, vocabulary):
    """Manifest and tokenizer agree."""
    loaded = load_vocabulary(bundle)
    assert loaded.encode_source("Good", "ko") == vocabulary.encode_source("Good", "ko")


def test_a_manifest_that_contradicts_the_tokenizer_is_refused(bundle):
    """Every figure that differs is named, in one message."""
    spec = replace(bundle.manifest.vocabulary, size=351, bos_id=7)
    with pytest.raises(BundleError) as refused:
        load_vocabulary(replace(bundle, manifest=replace(bundle.manifest, vocabulary=spec)))
    assert refused.value.faults == (
        "vocabulary.size is 351, the tokenizer says 350",
        "vocabulary.bos_id is 7, the tokenizer says 2",
    )


def test_a_direction_needs_its_tag(bundle):
    """A model cannot be asked for a language that its tokenizer has no symbol for."""
    manifest = replace(bundle.manifest, directions=(Direction("en", "fr"),))
    with pytest.raises(BundleError, match="<2fr> for direction en-fr"):
        load_vocabulary(replace(bundle, manifest=manifest))


@pytest.mark.parametrize("data", [b"", b"no model", None], ids=["empty", "other", "absent"])
def test_a_file_that_is_no_tokenizer_is_a_fault_of_the_bundle(bundle, data):
    """Whatever SentencePiece thinks of it, the operator reads BundleError."""
    file = bundle.file("v.model")
    if data is None:
        file.unlink()
    else:
        file.write_bytes(data)
    with pytest.raises(BundleError, match=r"v\.model"):
        load_vocabulary(bundle)


def spell(vocabulary, ids):
    """The pieces of some ids, joined."""
    return "".join(vocabulary.target.id_to_piece(i) for i in ids)


@pytest.mark.parametrize(
    "prefix", ["She se", "She sells 12 sea sh", "저는 서울에 사", "오", "She sells"]
)
def test_half_a_word_may_become_any_word_that_begins_so(vocabulary, prefix):
    """What is forced and an opening, or what is said instead, spell a text that begins so."""
    found = vocabulary.target_prefix(prefix)
    assert " " not in spell(vocabulary, found.otherwise).removeprefix("\u2581")
    assert vocabulary.decode([*found.ids, *found.otherwise]) == prefix
    assert found.openings
    for opening in found.openings:
        assert vocabulary.decode([*found.ids, opening]).startswith(prefix)


def test_a_prefix_that_ends_with_a_space_has_only_whole_words(vocabulary):
    """Another word follows, or nothing."""
    found = vocabulary.target_prefix("She sells ")
    assert vocabulary.decode(found.ids) == "She sells"
    assert vocabulary.eos_id in found.openings
    for opening in found.openings - {vocabulary.eos_id}:
        assert vocabulary.decode([*found.ids, opening]).startswith("She sells ")


def test_a_prefix_that_no_piece_spells_is_forced_byte_by_byte(vocabulary):
    """There is no other way to say it."""
    found = vocabulary.target_prefix("She 쀍")
    assert not found.openings
    assert vocabulary.decode(found.ids) == "She 쀍"


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_continued_prefix_is_kept_to_the_letter(vocabulary, prefix, rest):
    """Whatever the pieces make of its spaces and characters."""
    said = vocabulary.decode(vocabulary.target.encode(prefix)) + rest
    assert vocabulary.continue_prefix(prefix, said).startswith(prefix)


def test_a_translation_goes_on_where_the_prefix_ends(vocabulary):
    """With one space between, whoever sends it."""
    whole = "She sells sea shells."
    for prefix in ("She se", "She sells", "She sells ", "She  sells"):
        found = vocabulary.continue_prefix(prefix, whole)
        assert found.startswith(prefix)
        assert " ".join(found.split()) == whole
