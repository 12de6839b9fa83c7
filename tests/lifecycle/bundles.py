"""Directories that look like bundles, and engines over them that say which one they are."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from service.engine.bundle import FileSpec, Manifest, read_manifest, write_manifest
from service.engine.engine import Engine
from service.engine.scheduler import SchedulerLimits
from service.errors import BundleError
from service.lifecycle.repository import ModelRepository, RepositorySettings
from service.metrics import Metrics
from tests.fakes import EOS, FIRST, FakeVocabulary, ScriptedModel, make_manifest

BYTES = 1000
"""Of a bundle's only file."""


class SayingModel(ScriptedModel):
    """Answers everything with the same words."""

    def __init__(self, words: str):
        super().__init__()
        self.script = [*(ord(character) + FIRST for character in words), EOS]

    def distribution(self, _, said):
        """Nearly certain of the next piece."""
        row = np.full(0x3000, -20.0, dtype=np.float32)
        row[self.script[min(len(said), len(self.script) - 1)]] = -0.01
        return row


def write_bundle(path: Path, name="m", version="1", words="", size=BYTES) -> Path:
    """A bundle whose engine answers with `words`, by default its version."""
    path.mkdir(parents=True, exist_ok=True)
    manifest = replace(
        make_manifest(name),
        version=version,
        architecture=words or version,
        files={"weights": FileSpec(size, "0" * 64)},
    )
    (path / "weights").write_bytes(b"")
    write_manifest(path, manifest)
    return path


def break_bundle(path: Path) -> None:
    """Its manifest can be read, but no engine comes of it."""
    manifest = read_manifest(path)
    write_manifest(path, replace(manifest, architecture="broken"))


class Opener:
    """Opens such bundles, remembers which, and may be made to wait."""

    def __init__(self, metrics: Metrics, before=lambda _: None):
        self.metrics, self.before = metrics, before
        self.opened: list[str] = []
        self.engines: list[Engine] = []

    def __call__(self, path: Path) -> Engine:
        """An engine; one that is broken raises."""
        manifest: Manifest = read_manifest(path)
        self.before(manifest)
        if manifest.architecture == "broken":
            raise BundleError(str(path), ["it is broken"])
        if manifest.architecture == "absurd":
            raise MemoryError("no room")
        metrics = self.metrics.for_model(manifest.name, manifest.version)
        model = SayingModel(manifest.architecture)
        engine = Engine(manifest, FakeVocabulary(), model, SchedulerLimits(), metrics)
        self.opened.append("@".join((manifest.name, manifest.version)))
        self.engines.append(engine)
        return engine


def make_repository(directory: Path, preferred="", memory_bytes=0, before=lambda _: None):
    """A repository over such bundles, and what opens them; close it."""
    metrics = Metrics()
    opener = Opener(metrics, before)
    settings = RepositorySettings(directory, preferred, memory_bytes)
    return ModelRepository(settings, opener, metrics), opener
