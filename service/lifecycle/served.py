"""The models that can be asked for, and the requests that use their engines.

Belongs to one event loop and has no lock. Knows no directory: its owner loads and closes engines.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from service.engine.engine import Engine
from service.errors import EngineFailed
from service.lifecycle.directory import Key, version_order
from service.lifecycle.model import Model, Running


class Owner(Protocol):
    """Who loads and closes the engines."""

    async def wake(self, model: Model) -> None:
        """Sees to it that a model has an engine. Raises EngineFailed."""

    def dispose(self, running: Running) -> None:
        """Closes an engine that is retired and that nobody uses any more."""


class Holding:
    """The engines that one request uses. They stay open until it has ended, so it is answered by
    those that it began with, whatever is loaded meanwhile."""

    def __init__(self, served: "ServedModels") -> None:
        self._served = served
        self._running: dict[Model, Running] = {}

    async def take(self, model: Model) -> Engine:
        """A model's engine, which is loaded first if there is none. Raises EngineFailed."""
        if model not in self._running:
            self._running[model] = await self._served.use(model)
        return self._running[model].engine

    def end(self) -> None:
        """The request is over."""
        for running in self._running.values():
            self._served.leave(running)
        self._running = {}


class ServedModels:
    """Models by name and version. Of several versions one is the default, which requests get that
    name none; they name another one as NAME@VERSION. `preferred` comes before all other models."""

    def __init__(
        self, owner: Owner, preferred: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._owner = owner
        self._preferred = preferred
        self._clock = clock
        self._models: dict[Key, Model] = {}
        self._chosen: dict[str, str] = {}  # name to version, where somebody has chosen
        self.by_name: Mapping[str, Model] = {}
        """Every model under the name that requests use, the default versions first."""
        self.defaults: tuple[Model, ...] = ()
        """The default version of each model, in order of preference."""

    @classmethod
    def of(cls, engines: Iterable[Engine]) -> "ServedModels":
        """Engines that stay as they are, in this order; whoever started them closes them."""
        served = cls(_Nobody())
        models = [Model(engine.manifest, None, 0, Running(engine)) for engine in engines]
        served._models = {model.key: model for model in models}
        served.defaults = tuple(models)
        served.by_name = {model.manifest.name: model for model in models}
        return served

    def find(self, name: str) -> Model | None:
        """The model that a request means by NAME or NAME@VERSION."""
        plain, _, version = name.partition("@")
        return self.by_name.get(name) or self._models.get((plain, version))

    def get(self, key: Key) -> Model | None:
        """The model of this name and version."""
        return self._models.get(key)

    def all(self) -> tuple[Model, ...]:
        """Every model, in no order that means anything."""
        return tuple(self._models.values())

    def versions(self, name: str) -> tuple[Model, ...]:
        """Every version of a model, the highest last."""
        models = [model for (named, _), model in self._models.items() if named == name]
        return tuple(sorted(models, key=lambda model: version_order(model.manifest.version)))

    def is_default(self, model: Model) -> bool:
        """Whether requests get it that name no version."""
        return model in self.defaults

    def add(self, model: Model) -> None:
        """Lets a model be asked for."""
        self._models[model.key] = model
        self._arrange()

    def remove(self, model: Model, reason: str) -> None:
        """Lets nobody ask for a model any more; requests that use it end as they began."""
        del self._models[model.key]
        if self._chosen.get(model.manifest.name) == model.manifest.version:
            del self._chosen[model.manifest.name]
        self._arrange()
        self.put(model, None, reason)

    def choose_default(self, model: Model) -> None:
        """Makes this version the default one, until a higher one comes if it is the highest."""
        name = model.manifest.name
        self._chosen.pop(name, None)
        if self._default(name) is not model:
            self._chosen[name] = model.manifest.version
        self._arrange()

    def keep_default(self, name: str) -> None:
        """Whatever comes, the default version stays the one that it is, if there is one."""
        if self.versions(name):
            self._chosen[name] = self._default(name).manifest.version

    def put(self, model: Model, engine: Engine | None, reason: str) -> None:
        """Gives a model another engine, or none. What it had is retired for this reason."""
        before, model.running = model.running, Running(engine) if engine else None
        if before is not None:
            before.retired = reason
            if not before.users:
                self._owner.dispose(before)

    @contextmanager
    def hold(self) -> Iterator[Holding]:
        """For the time of one request."""
        holding = Holding(self)
        try:
            yield holding
        finally:
            holding.end()

    async def use(self, model: Model) -> Running:
        """Counts a user of a model's engine; `leave` has to follow."""
        model.used = self._clock()
        while model.running is None:
            await self._owner.wake(model)
        model.running.users += 1
        return model.running

    def leave(self, running: Running) -> None:
        """A user of an engine has ended."""
        running.users -= 1
        if running.retired and not running.users:
            self._owner.dispose(running)

    def _arrange(self) -> None:
        names = sorted({name for name, _ in self._models}, key=lambda n: (n != self._preferred, n))
        self.defaults = tuple(self._default(name) for name in names)
        others = [model for name in names for model in self.versions(name)]
        self.by_name = {model.manifest.name: model for model in self.defaults} | {
            "@".join(model.key): model for model in others if model not in self.defaults
        }

    def _default(self, name: str) -> Model:
        chosen = self._models.get((name, self._chosen.get(name, "")))
        return chosen or self.versions(name)[-1]


class _Nobody:
    """The owner of engines that stay as they are."""

    async def wake(self, model: Model) -> None:
        raise EngineFailed(f"{model.manifest.name} has stopped")

    def dispose(self, running: Running) -> None:
        pass
