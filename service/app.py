"""The composition root: settings in, application out. The only place that puts parts together."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from prometheus_client import start_http_server
from starlette.middleware.cors import CORSMiddleware

from service import __version__
from service.access.access import Access
from service.access.keys import KeyFile
from service.access.quotas import UsageStore
from service.api.checks import RequestLimits
from service.api.errors import ErrorShapes, install_error_handlers
from service.api.http.access_log import AccessLog
from service.api.http.cors import CrossOrigin
from service.api.http.exchange import REQUEST_ID, SERVER_TIMING
from service.api.http.instrumentation import Instrumentation
from service.api.http.patience import HttpLimits
from service.api.routes import FILE_PATHS, LIBRETRANSLATE_PATHS, add_routes, error_shapes
from service.api.state import Service
from service.api.urgency import PRIORITY, TIMEOUT
from service.documents.jobs import DocumentJobs, JobLimits
from service.documents.shelf import DirectoryShelf, MemoryShelf
from service.engine.engine import Engine
from service.engine.scheduler import SchedulerLimits
from service.engine.sessions import bound_memory
from service.engine.trial import TrialLimits, try_out
from service.glossary_store import GlossaryStore
from service.lifecycle.repository import ModelRepository, RepositorySettings
from service.lifecycle.watch import DirectoryWatch
from service.metrics import Metrics
from service.settings import Settings
from service.text.language import FastTextIdentifier, packaged_model
from service.tracing import Tracing, open_tracing
from service.translation.translator import Translator

logger = logging.getLogger(__name__)

CORS_HEADERS = ("Authorization", "Content-Type", "X-API-Key", REQUEST_ID, PRIORITY, TIMEOUT)
"""What scripts of other web sites may send."""
TRIAL_SPACE = 4
"""Address space of a trial for each byte that models may take."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Engines that somebody else has opened, which the application closes; and what is wrong with
    those that are missing."""

    engines: tuple[Engine, ...]
    faults: tuple[str, ...]


Loader = Callable[[Settings, Metrics], Loaded]


def open_repository(settings: Settings, metrics: Metrics) -> ModelRepository:
    """The models directory; nothing of it is loaded yet."""
    bound_memory(settings.runtime_bytes)
    limits = SchedulerLimits(
        settings.batch_tokens,
        settings.batch_rows,
        settings.runtime_bytes,
        settings.waiting_tokens,
        settings.waiting_sentences,
    )

    trial_limits = TrialLimits(most_bytes=TRIAL_SPACE * settings.runtime_bytes)

    def open_engine(path: Path) -> Engine:
        if settings.trial:
            try_out(path, trial_limits)
        return Engine.load(
            path,
            limits,
            metrics,
            settings.workers,
            settings.threads,
            settings.sentence_cache_bytes,
        )

    wanted = RepositorySettings(settings.models, settings.default_model, settings.models_bytes)
    return ModelRepository(wanted, open_engine, metrics)


def open_access(settings: Settings) -> Access:
    """Reads the keys. Raises KeyFileError, or StoreFailed if usage cannot be kept."""
    if settings.keys is None:
        return Access()
    if settings.data is None:
        logger.warning("without a data directory the usage of keys is forgotten at the end")
    return Access(KeyFile(settings.keys), UsageStore(settings.data))


def open_documents(settings: Settings) -> DocumentJobs:
    """Raises StoreFailed if there is a data directory that cannot be written."""
    limits = JobLimits(
        settings.documents, settings.documents_bytes, seconds=settings.documents_seconds
    )
    if settings.data is None:
        return DocumentJobs(limits, MemoryShelf())
    return DocumentJobs(limits, DirectoryShelf(settings.data / "documents"))


@contextmanager
def metrics_server(settings: Settings, metrics: Metrics) -> Iterator[None]:
    """Serves metrics on a port of their own, if they have one."""
    if settings.metrics_port is None:
        yield
        return
    server, thread = start_http_server(
        settings.metrics_port, settings.host, registry=metrics.registry
    )
    logger.info("metrics on port %d", server.server_port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def open_service(settings: Settings, metrics: Metrics) -> Service:
    """What the handlers share; no model is loaded yet. Raises KeyFileError or StoreFailed."""
    limits = RequestLimits(
        settings.max_texts,
        settings.max_characters,
        settings.max_beam_size,
        settings.max_seconds,
        settings.max_file_bytes,
    )
    access = open_access(settings)
    stored = GlossaryStore(settings.data)
    jobs = open_documents(settings)
    metrics.watch_documents(lambda: {str(state): n for state, n in jobs.counts.items()})
    repository = open_repository(settings, metrics)
    translator = Translator(
        repository.served,
        FastTextIdentifier(packaged_model()),
        settings.max_sentences,
        settings.second_tries,
        settings.pivot,
    )
    return Service(metrics, limits, access, jobs, stored, repository, translator)


def create_app(settings: Settings, load: Loader | None = None) -> FastAPI:
    """The application. Models are loaded while it already listens: those of the models directory,
    or what `load` gives. Raises KeyFileError, StoreFailed or TracingUnavailable."""
    service = open_service(settings, Metrics())
    tracing = open_tracing(settings.tracing, __version__) if settings.tracing else None
    app = FastAPI(
        title="seq2serve",
        version=__version__,
        summary="Translation over REST",
        description="Translates text with Transformer and RNN models that run on ONNX Runtime.",
        lifespan=lambda _: _serving(service, settings, load, tracing),
        redirect_slashes=False,
        # FastAPI's own pages of documents load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    add_routes(app, settings.metrics_port is None, settings.page)
    shapes = error_shapes()
    install_error_handlers(app, shapes)
    _add_middleware(app, settings, service.metrics, shapes, tracing)
    return app


@asynccontextmanager
async def _serving(
    service: Service, settings: Settings, load: Loader | None, tracing: Tracing | None
) -> AsyncIterator[None]:
    """From the start to the end of the server; what was accepted is answered first."""
    filling = asyncio.create_task(_fill(service.repository, settings, load, service.metrics))
    try:
        with metrics_server(settings, service.metrics):
            yield
    finally:
        await service.documents.close()
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)
        await service.repository.close()
        service.access.close()
        service.glossaries.close()
        if tracing is not None:
            await asyncio.to_thread(tracing.close)


def _add_middleware(
    app: FastAPI,
    settings: Settings,
    metrics: Metrics,
    shapes: ErrorShapes,
    tracing: Tracing | None,
) -> None:
    """The last one that is added is the first to see a request."""
    http = HttpLimits(
        settings.max_body_bytes,
        settings.body_seconds,
        settings.read_seconds,
        settings.max_file_bytes,
        FILE_PATHS,
    )
    app.add_middleware(
        Instrumentation,
        metrics=metrics,
        limits=http,
        shapes=shapes,
        log=AccessLog(settings.log_texts),
        tracing=tracing,
    )
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=CORS_HEADERS,
            expose_headers=["Location", "Retry-After", REQUEST_ID, SERVER_TIMING],
            max_age=86_400,
        )
    origins = settings.libretranslate_origins
    app.add_middleware(CrossOrigin, shape=LIBRETRANSLATE_PATHS, origins=origins)


async def _fill(
    repository: ModelRepository, settings: Settings, load: Loader | None, metrics: Metrics
) -> None:
    """Loads the models; then goes on looking for others, if it is to."""
    try:
        if load is None:
            await repository.start()
        else:
            loaded = await asyncio.to_thread(load, settings, metrics)
            for engine in loaded.engines:
                repository.adopt(engine)
            if not loaded.engines:
                repository.give_up("; ".join(loaded.faults))
    except Exception:
        logger.exception("loading the models failed")
        repository.give_up("loading the models failed")
    if load is None and settings.models_watch_seconds:
        await DirectoryWatch(repository).run(settings.models_watch_seconds)
