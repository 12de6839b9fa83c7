"""An imported model says what the library says that it was made for: every hypothesis of a beam."""

import pytest

from model_export.importers.ctranslate2_model import import_ctranslate2
from model_export.importers.imported import Asked
from model_export.importers.marian_hf import import_marian_hf
from model_export.importers.marian_npz import import_marian_npz
from tests.importers.alike import assert_alike
from tests.importers.tiny import Marian, OpenNmt, make_ctranslate2, make_marian, make_marian_npz

ASKED = Asked(("en",), ("de",))
PRE_NORM = {
    "transformer-preprocess": "n",
    "transformer-postprocess": "da",
    "transformer-postprocess-top": "n",
}
HUGGING_FACE = {
    "shared swish": Marian(seed=6, end=4),
    "shared untied float16": Marian(tied=False, half=True, seed=2, end=2),
    "separate swish, no bias": Marian(shared=False, bias=False, seed=3),
    "separate relu untied": Marian(
        shared=False, tied=False, activation="relu", scale=False, seed=7, end=2
    ),
    "separate tied pickle": Marian(shared=False, activation="gelu", pickled=True, seed=7),
    "tags, pad allowed": Marian(tags=(">>kor<<", ">>deu<<"), forbid_pad=False, seed=2, end=2),
    "deep encoder": Marian(encoder_layers=3, decoder_layers=1, seed=6, end=2),
}
CTRANSLATE2 = {
    "pre-norm": OpenNmt(seed=0, end=4),
    "post-norm separate": OpenNmt(
        pre_norm=False, shared=False, tied=False, activation="GELU", source_eos=True, seed=2, end=4
    ),
    "relative positions": OpenNmt(relative=True, seed=6, end=2),
    "relative int8": OpenNmt(relative=True, quantization="int8", pre_norm=False, seed=1, end=5),
    "int8, zero start": OpenNmt(
        quantization="int8", encodings=True, zero_start=True, seed=1, end=4
    ),
    "int16": OpenNmt(quantization="int16", activation="GELUTanh", seed=3, end=2),
    "float16, normed, no biases": OpenNmt(
        normed=True, pre_norm=False, activation="SWISH", quantization="float16", bias=False, seed=3
    ),
    "scaled by 1": OpenNmt(scale_embeddings=1.0, seed=4, end=2),
    "bfloat16": OpenNmt(quantization="bfloat16", activation="GELUSigmoid", seed=3, end=2),
}
MARIAN = {
    "post-norm": {"seed": 2, "end": 4},
    "pre-norm normed gelu": {
        **PRE_NORM,
        "transformer-postprocess-emb": "nd",
        "transformer-ffn-activation": "gelu",
        "seed": 4,
        "end": 2,
    },
}
"""Seeds with which the models neither fall silent nor repeat one piece for ever."""


@pytest.mark.parametrize("like", HUGGING_FACE.values(), ids=HUGGING_FACE)
def test_a_hugging_face_model_says_the_same(like, tmp_path):
    """Against `MarianMTModel.generate`."""
    folder = make_marian(tmp_path / "model", like)
    assert_alike(import_marian_hf(folder, Asked()), folder, tmp_path)


@pytest.mark.parametrize("like", CTRANSLATE2.values(), ids=CTRANSLATE2)
def test_a_ctranslate2_model_says_the_same(like, tmp_path):
    """Against `ctranslate2.Translator`."""
    folder = make_ctranslate2(tmp_path / "model", like)
    assert_alike(import_ctranslate2(folder, ASKED), folder, tmp_path)


@pytest.mark.parametrize("options", MARIAN.values(), ids=MARIAN)
def test_a_raw_marian_model_says_the_same(options, tmp_path):
    """Against CTranslate2, which has a converter for OPUS-MT's directories."""
    folder = make_marian_npz(tmp_path / "model", **options)
    assert_alike(import_marian_npz(folder, ASKED), folder, tmp_path)
