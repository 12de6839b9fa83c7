"""The commands: what they tell, and what stands in the bundles that they write."""

import pytest

from model_export.verify import verify_bundle
from service.engine.bundle import load_bundle


def test_the_commands_tell_what_they_checked(imported):
    """PyTorch, the original library, and int8 against float32."""
    _, said = imported
    for output in said:
        assert "under ONNX Runtime as under PyTorch" in output
        assert "36 of 36 hypotheses" in output
    assert "drawn sentences" not in said[0]
    assert "drawn sentences" in said[1]
    assert "the same in float32 and int8" in said[2]
    assert "float32 and int8" not in said[3]


@pytest.mark.parametrize(
    ("name", "format_name", "licence", "precision"),
    [
        ("opus", "Hugging Face Marian directory", "cc-by-4.0", "int8"),
        ("raw", "Marian directory", "unknown", "int8"),
        ("plain", "CTranslate2 directory", "unknown", "int8"),
        ("argos", "Argos package", "MIT", "float32"),
    ],
)
def test_a_bundle_tells_where_it_comes_from(imported, name, format_name, licence, precision):
    """In its manifest and on its card; and it still is what was checked."""
    path = imported[0] / name
    manifest = load_bundle(path).manifest
    origin = manifest.provenance.origin
    assert (origin.format, origin.licence) == (format_name, licence)
    assert manifest.precision == precision
    card = (path / "README.md").read_text("utf-8")
    assert licence in card
    assert origin.sha256 in card
    verify_bundle(path)
