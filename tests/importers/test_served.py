"""From the command line to the answer over HTTP: imported models beside each other."""

import asyncio

import httpx
import pytest
from typer.testing import CliRunner

from model_export.cli import app as command_line
from model_export.verify import verify_bundle
from service.app import create_app
from service.engine.bundle import load_bundle
from service.settings import Settings
from tests.importers.test_faults import package
from tests.importers.tiny import (
    Marian,
    OpenNmt,
    lines,
    make_ctranslate2,
    make_marian,
    make_marian_npz,
)

TAGGED = Marian(tags=(">>kor<<", ">>deu<<", ">>cmn_Hans<<"), seed=0, end=2.5)


def run(*arguments) -> str:
    """Output of a command that has to succeed."""
    result = CliRunner().invoke(command_line, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A directory of four imported bundles, and what the commands said."""
    folder = tmp_path_factory.mktemp("imported")
    models = folder / "models"
    tagged = make_marian(folder / "opus-mt-en-mul", TAGGED)
    (tagged / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n# A model\n", "utf-8")
    raw = make_marian_npz(folder / "raw", seed=2, end=4)
    plain = make_ctranslate2(folder / "plain", OpenNmt(relative=True, seed=6, end=4))
    argos = make_ctranslate2(folder / "argos", OpenNmt(seed=0, end=5))
    text = folder / "text.txt"
    text.write_text("\n".join(lines(0)[:40]), "utf-8")
    said = [
        run("import-opus", tagged, models / "opus", "--calibration", text),
        run("import-opus", raw, models / "raw", "--source", "de", "--target", "fra"),
        run("import-ctranslate2", plain, models / "plain", "--source", "nl", "--target", "en"),
        run(
            "import-argos",
            package(folder / "en_de.argosmodel", argos),
            models / "argos",
            "--precision",
            "float32",
            "--licence",
            "MIT",
        ),
    ]
    return models, said


def test_the_commands_tell_what_they_checked(served):
    """PyTorch, the original library, and int8 against float32."""
    _, said = served
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
def test_a_bundle_tells_where_it_comes_from(served, name, format_name, licence, precision):
    """In its manifest and on its card; and it still is what was checked."""
    path = served[0] / name
    manifest = load_bundle(path).manifest
    origin = manifest.provenance.origin
    assert (origin.format, origin.licence) == (format_name, licence)
    assert manifest.precision == precision
    card = (path / "README.md").read_text("utf-8")
    assert licence in card
    assert origin.sha256 in card
    verify_bundle(path)


async def all_listed(client, names) -> None:
    """Waits until the last of these models is loaded."""
    for _ in range(6000):
        answer = await client.get("/v1/models")
        if answer.status_code == 200:
            listed = {model["name"] for model in answer.json()["models"]}
            assert listed <= names
            if listed == names:
                return
        await asyncio.sleep(0.05)
    raise AssertionError(f"only {answer.text} is served")


async def test_imported_models_are_served(served):
    """They are listed, and translate in their directions; tags become directions."""
    models, _ = served
    app = create_app(Settings(models=models, workers=1, default_model="argos"))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await all_listed(client, {"opus", "raw", "plain", "argos"})
            languages = (await client.get("/v1/languages")).text
            assert all(f'"{code}"' in languages for code in ("en", "ko", "zh", "fr", "nl"))
            for name, source, target in (
                ("opus", "en", "ko"),
                ("opus", "en", "zh"),
                ("raw", "de", "fr"),
                ("plain", "nl", "en"),
                ("argos", "en", "de"),
            ):
                body = {
                    "text": lines(0)[:3],
                    "source": source,
                    "target": target,
                    "model": name,
                    "alignment": True,
                }
                answer = await client.post("/v1/translate", json=body)
                assert answer.status_code == 200, answer.text
                found = answer.json()
                assert found["model"] == name
                assert len(found["translations"]) == 3
