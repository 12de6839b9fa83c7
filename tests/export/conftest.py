"""The toy model, trained and exported once, through the command line that people use."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from model_export.cli import app
from model_export.export import Run, load_run
from model_export.recipe import load_recipe
from service.engine.bundle import Bundle, load_bundle
from service.engine.cached_model import CachedModel
from service.engine.model_loader import open_model
from tests.export.toy import Toy, make_toy


@dataclass(frozen=True)
class TrainedToy:
    """Everything that the stages left behind."""

    toy: Toy
    run: Run
    bundle: Bundle
    onnx: CachedModel


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Small models are fastest, and most repeatable, on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def denormals() -> Iterator[None]:
    """Training flushes denormal numbers to zero; other tests of this process draw them."""
    yield
    torch.set_flush_denormal(False)


def run_command(*arguments: str) -> str:
    """Output of a `model-export` subcommand that has to succeed."""
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> TrainedToy:  # noqa: ARG001
    """The toy after `tokenizer`, `train` and `export`."""
    toy = make_toy(tmp_path_factory.mktemp("toy"), updates=400, evaluate_every=100)
    path: Path = toy.run.parent / "bundle"
    recipe, *rest = toy.arguments
    run_command("tokenizer", recipe, *rest)
    run_command("train", recipe, *rest)
    run_command("export", recipe, str(path), *rest)
    bundle = load_bundle(path)
    return TrainedToy(toy, load_run(load_recipe(toy.recipe), toy.run), bundle, open_model(bundle))


def quantize_arguments(trained: TrainedToy, target: Path) -> list[str]:
    """`model-export quantize` on the toy."""
    dev = trained.toy.corpora / "dev.tsv"
    train = trained.toy.corpora / "train.tsv"
    command = ["quantize", str(trained.bundle.path), str(target)]
    return [*command, "--calibration", str(train), "--pairs", str(dev), "--tolerance", "2"]


@pytest.fixture(scope="session")
def int8(trained: TrainedToy, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The toy as an int8 bundle."""
    target = tmp_path_factory.mktemp("int8") / "toy"
    output = run_command(*quantize_arguments(trained, target))
    assert "chrF2++" in output
    assert "pieces are the same in both" in output
    return load_bundle(target)
