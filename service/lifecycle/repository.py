"""Owns all engines: opens bundles of a directory, replaces, parks and closes them at run time.

One bundle is opened at a time, in another thread. Whatever is wrong with it concerns nobody else,
and until it is warm its predecessor goes on serving.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from service.engine.engine import Engine
from service.errors import BundleError, EngineFailed, UnknownModel
from service.lifecycle.directory import FoundBundle, Inventory, Key, Stamp, take_inventory
from service.lifecycle.memory import give_back, least_recently_used, resident_bytes
from service.lifecycle.model import Model, Running
from service.lifecycle.served import ServedModels
from service.metrics import Metrics

logger = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")
OpenEngine = Callable[[Path], Engine]
UNLOADED = "it was unloaded before it could be opened"


@dataclass(frozen=True, slots=True)
class RepositorySettings:
    """Which directory, and what may be loaded of it."""

    directory: Path
    preferred: str = ""
    """The model that comes first, while it is loaded and after."""
    memory_bytes: int = 0
    """What all loaded bundles together may take, about; 0 is no limit."""


class ModelRepository:
    """All methods belong to one event loop. `open_engine` opens and warms up a bundle."""

    def __init__(
        self, settings: RepositorySettings, open_engine: OpenEngine, metrics: Metrics
    ) -> None:
        self.served = ServedModels(self, settings.preferred)
        self.left_out: dict[Key, Stamp] = {}
        """Bundles that failed or were unloaded by hand, and what they looked like then."""
        self.started = False
        """Whether the first model is ready, or none could be loaded."""
        self._settings = settings
        self._open_engine = open_engine
        self.metrics = metrics
        self._unreadable: Mapping[Path, str] = {}
        self._failed: dict[Path, str] = {}
        self._opening = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong with the bundles that are left out."""
        return (*self._unreadable.values(), *self._failed.values())

    async def start(self) -> None:
        """Loads what the directory holds, the preferred model first, as far as memory allows. All
        may be asked for from the beginning; who does so early waits until it is loaded."""
        inventory = await self.look()
        first = self._settings.preferred
        found = sorted(inventory.bundles.values(), key=lambda found: found.key[0] != first)
        for bundle in found:
            self.served.add(_parked(bundle))
        for bundle in found:
            if self._lacking(bundle) <= 0:
                await self._load_parked(bundle)
            self.started = self.started or any(model.loaded for model in self.served.all())
        if not found and not self.faults:
            self.give_up(f"there is no bundle in {self._settings.directory}")
        self.started = True

    async def _load_parked(self, found: FoundBundle) -> None:
        model = self.served.get(found.key)
        if model is None:
            return  # somebody has unloaded it, or asked for it and it failed
        try:
            await self._own(self._serve(found, only_if_parked=True))
        except BundleError:
            self._drop(model)

    def _drop(self, model: Model) -> None:
        """A model that could not be loaded is not served any more."""
        if self.served.get(model.key) is model and not model.loaded:
            self.served.remove(model, "failed")

    def give_up(self, reason: str) -> None:
        """Start-up is over, and came to nothing."""
        self._failed[self._settings.directory] = reason
        self.started = True

    def adopt(self, engine: Engine) -> None:
        """Serves an engine that somebody else has opened; it is closed with the others."""
        model = Model(engine.manifest, None, resident_bytes(engine.manifest))
        self.served.add(model)
        self._put(model, engine, seconds=0.0)
        self.started = True

    async def look(self) -> Inventory:
        """What the directory holds now."""
        inventory = await asyncio.to_thread(take_inventory, self._settings.directory)
        for path, fault in inventory.faults.items():
            if self._unreadable.get(path) != fault:
                logger.error("%s", fault)
        self._unreadable = inventory.faults
        self._failed = {path: fault for path, fault in self._failed.items() if path.exists()}
        return inventory

    async def load(
        self, name: str, version: str | None = None, default: bool = True, again: bool = False
    ) -> Model:
        """Serves a bundle of the directory, by default its highest version; `again` even if it is
        loaded and unchanged. Raises UnknownModel or BundleError, and then nothing has changed."""
        inventory = await self.look()
        found = inventory.find(name, version)
        if found is None:
            there = ", ".join("@".join(key) for key in inventory.bundles) or "none"
            wanted = name if version is None else f"{name}@{version}"
            raise UnknownModel("model", f"there is no bundle of {wanted!r}; bundles: {there}")
        if not default:
            self.served.keep_default(name)
        model = self.served.get(found.key)
        if again or model is None or not model.loaded or model.stamp != found.stamp:
            model = await self._own(self._serve(found))
        if default:
            self.served.choose_default(model)
        return model

    async def unload(self, name: str, version: str | None = None) -> tuple[Model, ...]:
        """Takes a version out of service, by default all of them. Raises UnknownModel."""
        models = [m for m in self.served.versions(name) if version in (None, m.manifest.version)]
        if not models:
            wanted = name if version is None else f"{name}@{version}"
            raise UnknownModel("model", f"no such model is served: {wanted!r}")
        for model in models:
            self.retire(model, "asked")
            self.left_out[model.key] = model.stamp
        return tuple(models)

    def retire(self, model: Model, reason: str) -> None:
        """Takes a model out of service; its engine ends with the last request that uses it."""
        self.served.remove(model, reason)
        logger.info("%s is out of service: %s", "@".join(model.key), reason)

    async def try_to_serve(self, found: FoundBundle) -> bool:
        """Serves a bundle, or tells the log what is wrong with it. If there is no room for it, it
        drives nobody out, but is loaded when somebody asks for it."""
        if self.served.get(found.key) is None and self._lacking(found) > 0:
            self.served.add(_parked(found))
            logger.info("%s is loaded when it is asked for", "@".join(found.key))
            return True
        try:
            await self._own(self._serve(found))
        except BundleError:
            return False
        return True

    async def wake(self, model: Model) -> None:
        """Loads a model that gave its memory to others. Raises EngineFailed."""
        found = model.found
        if found is None or self.served.get(model.key) is not model:
            raise EngineFailed(f"{model.manifest.name} is not served any more")
        try:
            await self._own(self._serve(found, only_if_parked=True))
        except BundleError as error:
            self._drop(model)
            raise EngineFailed(f"{model.manifest.name} cannot be loaded") from error

    def dispose(self, running: Running) -> None:
        """Closes a retired engine in another thread."""
        self.metrics.model_unloads.labels(running.retired).inc()
        self._spawn(self._close(running.engine))

    async def close(self) -> None:
        """Answers what was accepted and closes every engine."""
        await self.settle()
        for model in self.served.all():
            self.served.remove(model, "stopped")
        await self.settle()

    async def _serve(self, found: FoundBundle, only_if_parked: bool = False) -> Model:
        """Opens a bundle; from then on it gets every new request for its name and version."""
        async with self._opening:
            model = self.served.get(found.key)
            if only_if_parked:
                if model is None:
                    raise BundleError(str(found.path), [UNLOADED])
                if model.loaded:
                    return model  # loaded for somebody else who asked, too
            started = time.monotonic()
            try:
                await self._make_room(found)
                engine = await asyncio.to_thread(self._open, found)
            except BundleError as error:
                self.metrics.model_loads.labels("failed").inc()
                self._failed[found.path] = str(error)
                self.left_out[found.key] = found.stamp
                logger.error("%s", error)
                raise
            if model is not None and self.served.get(found.key) is not model:
                await asyncio.to_thread(engine.close)
                raise BundleError(str(found.path), [UNLOADED])
            if model is None:
                model = Model(engine.manifest, found, resident_bytes(engine.manifest))
                self.served.add(model)
            model.manifest, model.found = engine.manifest, found
            self._put(model, engine, time.monotonic() - started)
            self._failed.pop(found.path, None)
            self.left_out.pop(found.key, None)
            return model

    def _open(self, found: FoundBundle) -> Engine:
        """In another thread. Whatever goes wrong is a BundleError."""
        try:
            engine = self._open_engine(found.path)
        except BundleError:
            raise
        except Exception as error:
            logger.exception("opening %s failed", found.path)
            raise BundleError(str(found.path), [f"it cannot be opened: {error}"]) from error
        manifest = engine.manifest
        if (manifest.name, manifest.version) != found.key:
            engine.close()
            raise BundleError(str(found.path), ["it was replaced while it was being opened"])
        return engine

    def _put(self, model: Model, engine: Engine, seconds: float) -> None:
        self.served.put(model, engine, "replaced")
        self.metrics.model_loaded(model.key, model.manifest.precision, model.bytes, seconds)
        where = model.found.path if model.found else "memory"
        logger.info("serving %s from %s", "@".join(model.key), where)

    async def _make_room(self, found: FoundBundle) -> None:
        """Parks what was asked for longest ago. What replaces its own predecessor may stand beside
        it for a moment."""
        allowed, needed = self._settings.memory_bytes, resident_bytes(found.manifest)
        if allowed and needed > allowed:
            fault = f"it takes about {needed} bytes, and memory_bytes allows {allowed}"
            raise BundleError(str(found.path), [fault])
        others = [m for m in self.served.all() if m.found is not None and m.key != found.key]
        for model in least_recently_used(others, self._lacking(found)):
            logger.info("%s makes room for %s", "@".join(model.key), "@".join(found.key))
            self.served.put(model, None, "room")

    def _lacking(self, found: FoundBundle) -> int:
        """Bytes that have to be freed before this bundle can be loaded."""
        if not self._settings.memory_bytes:
            return 0
        others = [m.bytes for m in self.served.all() if m.loaded and m.key != found.key]
        return sum(others) + resident_bytes(found.manifest) - self._settings.memory_bytes

    async def _close(self, engine: Engine) -> None:
        key = engine.manifest.name, engine.manifest.version
        await asyncio.to_thread(engine.close)
        del engine
        await asyncio.to_thread(give_back)
        async with self._opening:  # or the series of an engine that is being opened would go too
            model = self.served.get(key)
            if model is None or not model.loaded:
                self.metrics.forget(*key)

    async def _own(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Awaits work that goes on if the caller leaves: a half opened engine must not be lost."""
        return await asyncio.shield(self._spawn(work))

    def _spawn(self, work: Coroutine[Any, Any, ResultT]) -> asyncio.Task[ResultT]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def settle(self) -> None:
        """Waits for what is being opened and closed."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)


def _parked(found: FoundBundle) -> Model:
    return Model(found.manifest, found, resident_bytes(found.manifest))
