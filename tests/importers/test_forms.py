"""The forms in which models are found: of older libraries, of converters, of package indexes."""

import json
import shutil

import pytest

from model_export.importers.argos import import_argos
from model_export.importers.assemble import assemble
from model_export.importers.ctranslate2_model import import_ctranslate2
from model_export.importers.imported import Asked, ImportFaults
from model_export.importers.marian_hf import import_marian_hf
from service.engine.vocabulary import Vocabulary
from tests.importers.alike import assert_alike
from tests.importers.older import make_older_ctranslate2, make_older_marian, without_scales
from tests.importers.packages import package
from tests.importers.tiny import (
    Marian,
    OpenNmt,
    lines,
    make_ctranslate2,
    make_marian,
    make_marian_npz,
)

ASKED = Asked(("en",), ("de",))


def test_a_directory_of_an_older_transformers_says_the_same(tmp_path):
    """What later files of their own say stands in config.json."""
    folder = make_older_marian(make_marian(tmp_path / "model", Marian(seed=6, end=4)))
    imported = import_marian_hf(folder, Asked())
    assert (imported.sources, dict(imported.targets)) == (("en",), {"de": None})
    assert imported.forbidden == {"<pad>"}
    assert imported.decoding.beam_size == 6
    assert_alike(imported, folder, tmp_path)


def test_a_target_vocabulary_is_taken_where_there_is_one(tmp_path):
    """The tokenizer's options may be lost; a wrong vocabulary would give nonsense."""
    folder = make_marian(tmp_path / "model", Marian(shared=False))
    (folder / "tokenizer_config.json").unlink()
    imported = import_marian_hf(folder, ASKED)
    assert list(imported.target.pieces) == list(
        json.loads((folder / "target_vocab.json").read_text("utf-8"))
    )
    assert imported.source.pieces != imported.target.pieces


def test_normalised_embeddings_are_nothing_that_transformers_has(tmp_path):
    """Its MarianMTModel has no such norm, whatever a config says: what was trained with one cannot
    be in such a directory, and is refused."""
    from transformers import MarianMTModel

    folder = make_marian(tmp_path / "model", Marian())
    names = MarianMTModel.from_pretrained(folder).state_dict().keys()
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config |= {"normalize_embedding": True, "normalize_before": True}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    assert MarianMTModel.from_pretrained(folder).state_dict().keys() == names
    with pytest.raises(ImportFaults, match="normalize_embedding is not supported"):
        import_marian_hf(folder, Asked())


OLDER = {
    "binary 5": (OpenNmt(normed=True, zero_start=True, seed=2, end=2), 5, 6),
    "binary 5, sizes in common": (
        OpenNmt(
            pre_norm=False,
            shared=False,
            tied=False,
            activation="GELU",
            source_eos=True,
            seed=2,
            end=4,
        ),
        5,
        4,
    ),
    "binary 4, at first": (
        OpenNmt(relative=True, quantization="int8", pre_norm=False, seed=1, end=5),
        4,
        3,
    ),
    "binary 4, int16": (OpenNmt(quantization="int16", seed=3, end=2), 4, 3),
}


@pytest.mark.parametrize(("like", "version", "revision"), OLDER.values(), ids=OLDER)
def test_a_directory_of_an_older_ctranslate2_says_the_same(like, version, revision, tmp_path):
    """Against the library, which reads them still."""
    folder = make_ctranslate2(tmp_path / "model", like)
    make_older_ctranslate2(folder, version, revision)
    if like.quantization == "int16":
        without_scales(folder)
    imported = import_ctranslate2(folder, ASKED)
    assert imported.library_ends is like.source_eos
    assert_alike(imported, folder, tmp_path)


@pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")
def test_a_model_by_way_of_transformers_says_the_same(tmp_path):
    """CTranslate2's converter leaves the end of a source to the tokenizer; the service adds it.
    Tags are directions there too."""
    from ctranslate2.converters import TransformersConverter

    like = Marian(tags=(">>kor<<", ">>deu<<"), scale=False, seed=2, end=2)
    marian = make_marian(tmp_path / "marian", like)
    folder = tmp_path / "model"
    TransformersConverter(str(marian)).convert(str(folder))
    for name in ("source.spm", "target.spm"):
        shutil.copy(marian / name, folder)
    imported = import_ctranslate2(folder, Asked(("en",)))
    assert dict(imported.targets) == {"de": ">>deu<<", "ko": ">>kor<<"}
    assert (imported.layout, imported.library_ends) == ("tag pieces eos", False)
    assert_alike(imported, folder, tmp_path)


def test_a_raw_marian_model_that_was_converted_says_the_same(tmp_path):
    """Here the library adds the end of a source."""
    from ctranslate2.converters import OpusMTConverter

    marian = make_marian_npz(tmp_path / "marian", seed=2, end=4)
    folder = tmp_path / "model"
    OpusMTConverter(str(marian)).convert(str(folder), quantization="int8")
    for name in ("source.spm", "target.spm"):
        shutil.copy(marian / name, folder)
    imported = import_ctranslate2(folder, ASKED)
    assert (imported.layout, imported.library_ends) == ("pieces eos", True)
    assert_alike(imported, folder, tmp_path)


def test_a_package_as_the_index_has_them(tmp_path):
    """A folder named after package and version; of what Stanza and others left in it nothing is
    unpacked; the model is as old as the package."""
    model = make_ctranslate2(tmp_path / "model", OpenNmt(seed=0, end=5))
    make_older_ctranslate2(model, 5, 4)
    metadata = {
        "package_version": "1.9",
        "argos_version": "1.9.0",
        "from_code": "en",
        "from_name": "English",
        "to_code": "ko",
        "to_name": "Korean",
    }
    others = {
        "README.md": b"---\nlicense: cc0-1.0\n---\n# English-Korean\n",
        "stanza/en/tokenize/ewt.pt": b"\x80\x02}q\x00.",
        "stanza/resources.json": b"{}",
        "model/.DS_Store": b"",
    }
    path = package(
        tmp_path / "translate-en_ko-1_9.argosmodel",
        model,
        "translate-en_ko-1_9",
        metadata,
        others,
    )
    with import_argos(path, Asked()) as (imported, folder):
        unpacked = sorted(file.name for file in folder.parent.rglob("*") if file.is_file())
        assert unpacked == [
            "README.md",
            "metadata.json",
            "model.bin",
            "sentencepiece.model",
            "shared_vocabulary.txt",
        ]
        assert (imported.sources, dict(imported.targets)) == (("en",), {"ko": None})
        assert (imported.version, imported.origin.licence) == ("1.9", "cc0-1.0")
        assert imported.origin.name == "translate-en_ko-1_9"
        assert_alike(imported, folder, tmp_path)
    assert not folder.exists()


@pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")
@pytest.mark.parametrize("like", [Marian(tags=(">>kor<<",)), Marian(shared=False)])
def test_text_becomes_the_ids_that_the_tokenizer_of_transformers_makes(like, tmp_path):
    """Of source and target, each by its own vocabulary; and ids become the same text."""
    from transformers import MarianTokenizer

    folder = make_marian(tmp_path / "model", like)
    assembled = assemble(import_marian_hf(folder, Asked()))
    for name in ("source", "target"):
        (tmp_path / name).write_bytes(getattr(assembled, name).model)
    layout = "tag pieces eos" if like.tags else "pieces eos"
    ours = Vocabulary(tmp_path / "source", tmp_path / "target", layout)
    theirs = MarianTokenizer.from_pretrained(folder)
    known = [*lines(0)[:20], *lines(1)[:20]]
    for text in (*known, "abc, 한 DEF"):
        ids = theirs("".join(f"{tag} " for tag in like.tags) + text).input_ids
        assert assembled.source.rows[ours.encode_source(text, "ko")].tolist() == ids
    for text in known:
        said = theirs(text_target=text).input_ids
        assert ours.decode(said) == theirs.decode(said, skip_special_tokens=True)
