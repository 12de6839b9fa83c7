"""One thread for PyTorch, no way to a network for libraries that look for one; sound models, and a
directory of imported ones.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from model_export.cli import app
from tests.importers.packages import package
from tests.importers.tiny import (
    Marian,
    OpenNmt,
    lines,
    make_ctranslate2,
    make_marian,
    make_marian_npz,
)

TAGGED = Marian(tags=(">>kor<<", ">>deu<<", ">>cmn_Hans<<"), seed=10, end=2.5)

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Small models are fastest, and most repeatable, on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="package")
def models(tmp_path_factory) -> Path:
    """A sound model of each kind."""
    folder = tmp_path_factory.mktemp("models")
    make_marian(folder / "hf", Marian())
    make_ctranslate2(folder / "ctranslate2", OpenNmt())
    make_marian_npz(folder / "marian")
    return folder


@pytest.fixture
def copy(models, tmp_path) -> Callable[[str], Path]:
    """A copy of a sound model, by its kind, to be broken."""
    return lambda kind: shutil.copytree(models / kind, tmp_path / kind)


def run(*arguments: object) -> str:
    """Output of a command that has to succeed."""
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="package")
def imported(tmp_path_factory) -> tuple[Path, list[str]]:
    """A directory of bundles, one of each kind of files, and what the commands said: en to de, ko
    and zh; de to fr; nl to en; en to de once more."""
    folder = tmp_path_factory.mktemp("imported")
    models = folder / "models"
    tagged = make_marian(folder / "opus-mt-en-mul", TAGGED)
    (tagged / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n# A model\n", "utf-8")
    raw = make_marian_npz(folder / "raw", seed=2, end=4)
    plain = make_ctranslate2(folder / "plain", OpenNmt(relative=True, seed=6, end=2))
    argos = package(
        folder / "en_de.argosmodel", make_ctranslate2(folder / "argos", OpenNmt(seed=0, end=5))
    )
    text = folder / "text.txt"
    text.write_text("\n".join(lines(0)[:40]), "utf-8")
    as_is = ("--precision", "float32", "--licence", "MIT")
    return models, [
        run("import-opus", tagged, models / "opus", "--calibration", text),
        run("import-opus", raw, models / "raw", "--source", "de", "--target", "fra"),
        run("import-ctranslate2", plain, models / "plain", "--source", "nl", "--target", "en"),
        run("import-argos", argos, models / "argos", *as_is),
    ]
