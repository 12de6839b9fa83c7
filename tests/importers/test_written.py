"""A failed import leaves nothing behind, however late it fails; a sound one is there at once."""

from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from model_export.cli import app
from model_export.importers import originals
from model_export.importers.imported import ImportFaults
from model_export.importers.originals import Said
from model_export.parity import ParityError
from tests.importers.tiny import OpenNmt, make_ctranslate2


@pytest.fixture
def run(tmp_path):
    """Runs a command that writes a bundle -> its error, and what is left of its attempt."""
    models = tmp_path / "served"

    def run(command, files, *options) -> tuple[BaseException | None, list[str]]:
        arguments = [command, str(files), str(models / "m"), *options]
        result = CliRunner().invoke(app, arguments)
        return result.exception, [path.name for path in models.rglob("*")]

    return run


def test_files_that_cannot_be_imported(run, copy):
    """The command says why, in one error."""
    folder = copy("hf")
    (folder / "source.spm").unlink()
    error, left = run("import-opus", folder)
    assert isinstance(error, ImportFaults)
    assert "source.spm" in str(error)
    assert left == []


def test_a_model_that_does_not_work(run, tmp_path):
    """Its files are sound, and it never comes to an end: the smoke test finds it."""
    folder = make_ctranslate2(tmp_path / "model", OpenNmt(end=-99))
    error, left = run("import-ctranslate2", folder, "--source", "en", "--target", "de")
    assert isinstance(error, ImportFaults)
    assert "the smoke test failed: no sentence comes to its end" in str(error)
    assert left == []


class Contradicts:
    """An original that says something else."""

    def decode(self, sources, *_):
        """Nothing, with certainty."""
        return [[Said((), 0.0)]] * len(sources)


@contextmanager
def contradicting(*_):
    """In the place of the library."""
    yield Contradicts()


def test_a_model_that_says_something_else_than_the_original(run, copy, monkeypatch):
    """The comparison is the last step before int8, and it tells sentences and scores."""
    monkeypatch.setattr(originals, "open_original", contradicting)
    files, options = copy("ctranslate2"), ("--source", "en", "--target", "de")
    error, left = run("import-ctranslate2", files, *options)
    assert isinstance(error, ParityError)
    assert "are not those of the original" in str(error)
    assert left == []


def test_a_bundle_is_not_overwritten(copy, tmp_path):
    """A folder that holds something stays as it is."""
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "manifest.json").write_text("{}")
    result = CliRunner().invoke(app, ["import-opus", str(copy("hf")), str(kept)])
    assert result.exit_code == 2
    assert (kept / "manifest.json").read_text() == "{}"
