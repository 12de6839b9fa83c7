"""The composition root: settings in, application out. The only place that puts parts together."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI

from service import __version__
from service.access.access import Access
from service.access.keys import KeyFile
from service.access.quotas import UsageStore
from service.api import native, operations, page
from service.api.checks import RequestLimits
from service.api.errors import ErrorShapes, install_error_handlers
from service.api.instrumentation import Instrumentation
from service.api.state import Service
from service.engine.bundle import MANIFEST
from service.engine.engine import Engine
from service.engine.scheduler import SchedulerLimits
from service.engine.sessions import bound_memory
from service.engine.trial import try_out
from service.errors import BundleError
from service.metrics import Metrics
from service.pipeline import Translator
from service.settings import Settings
from service.text.language import FastTextIdentifier, packaged_model

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The engines that could be started, and what is wrong with the bundles that were left out."""

    engines: tuple[Engine, ...]
    faults: tuple[str, ...]


Loader = Callable[[Settings, Metrics], Loaded]


def load_engines(settings: Settings, metrics: Metrics) -> Loaded:
    """Starts an engine for every bundle in the models directory, the default model first."""
    engines: list[Engine] = []
    faults: list[str] = []
    bound_memory(settings.runtime_bytes)
    limits = SchedulerLimits(
        settings.batch_tokens,
        settings.batch_rows,
        settings.waiting_tokens,
        settings.waiting_sentences,
    )
    for path in sorted(file.parent for file in settings.models.glob(f"*/{MANIFEST}")):
        try:
            if settings.trial:
                try_out(path)
            engine = Engine.load(
                path,
                limits,
                metrics,
                settings.workers,
                settings.threads,
                settings.sentence_cache_bytes,
            )
            if any(other.manifest.name == engine.manifest.name for other in engines):
                engine.close()
                raise BundleError(str(path), [f"another one is named {engine.manifest.name} too"])
        except BundleError as error:
            logger.error("%s", error)
            faults.append(str(error))
            continue
        manifest = engine.manifest
        metrics.model_info.labels(manifest.name, manifest.version, manifest.precision).set(1)
        logger.info("serving %s from %s", manifest.name, path)
        engines.append(engine)
    engines.sort(key=lambda engine: engine.manifest.name != settings.default_model)
    if not engines and not faults:
        faults.append(f"there is no bundle in {settings.models}")
    return Loaded(tuple(engines), tuple(faults))


def open_access(settings: Settings) -> Access:
    """Reads the keys. Raises KeyFileError, or StoreFailed if usage cannot be kept."""
    if settings.keys is None:
        return Access()
    if settings.data is None:
        logger.warning("without a data directory the usage of keys is forgotten at the end")
    return Access(KeyFile(settings.keys), UsageStore(settings.data))


def create_app(settings: Settings, load: Loader = load_engines) -> FastAPI:
    """The application. Models are loaded while it already listens; `load` is replaced in tests."""
    metrics = Metrics()
    limits = RequestLimits(
        settings.max_texts, settings.max_characters, settings.max_beam_size, settings.max_seconds
    )
    access = open_access(settings)
    service = Service(metrics, limits, access)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(_open(service, settings, load))
        try:
            yield
        finally:
            for engine in await loading:
                await asyncio.to_thread(engine.close)
            access.close()

    app = FastAPI(
        title="seq2serve",
        version=__version__,
        summary="Translation over REST",
        description="Translates text with Transformer and RNN models that run on ONNX Runtime.",
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.service = service
    app.include_router(native.router)
    app.include_router(operations.router)
    if settings.page:
        app.include_router(page.router)
    shapes = ErrorShapes()
    install_error_handlers(app, shapes)
    app.add_middleware(
        Instrumentation, metrics=metrics, max_body_bytes=settings.max_body_bytes, shapes=shapes
    )
    return app


async def _open(service: Service, settings: Settings, load: Loader) -> Sequence[Engine]:
    try:
        loaded = await asyncio.to_thread(load, settings, service.metrics)
    except Exception:
        logger.exception("loading the models failed")
        service.fail("loading the models failed")
        return ()
    identifier = FastTextIdentifier(packaged_model())
    translator = Translator(loaded.engines, identifier, settings.max_sentences)
    service.open(translator, loaded.faults)
    return loaded.engines
