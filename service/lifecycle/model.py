"""A model that can be asked for, and its engine while it has one. Knows no directory."""

from dataclasses import dataclass

from service.engine.bundle import Manifest
from service.engine.engine import Engine
from service.lifecycle.directory import FoundBundle, Key, Stamp


@dataclass(eq=False, slots=True)
class Running:
    """An engine and the number of requests that use it. Once it is retired it gets no more of
    them, and the last one to end closes it."""

    engine: Engine
    users: int = 0
    retired: str = ""
    """Why, if it is."""


@dataclass(eq=False, slots=True)
class Model:
    """One version of a model. Without an engine it is loaded as soon as somebody asks for it."""

    manifest: Manifest
    found: FoundBundle | None
    """Where it comes from; None for an engine that was handed over ready."""
    bytes: int
    """Memory that its engine takes, about."""
    running: Running | None = None
    used: float = 0.0
    """When somebody last asked for it."""

    @property
    def key(self) -> Key:
        """Name and version."""
        return self.manifest.name, self.manifest.version

    @property
    def stamp(self) -> Stamp:
        """What its files look like."""
        return self.found.stamp if self.found else ()

    @property
    def loaded(self) -> bool:
        """Whether it has an engine."""
        return self.running is not None

    @property
    def healthy(self) -> bool:
        """Whether it takes work, at once or after loading."""
        return self.running is None or self.running.engine.healthy
