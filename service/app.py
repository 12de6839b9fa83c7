"""The composition root: settings in, application out. The only place that puts parts together."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from fastapi import FastAPI
from prometheus_client import start_http_server
from starlette.middleware.cors import CORSMiddleware

from service import __version__
from service.access.access import Access
from service.access.keys import KeyFile
from service.access.quotas import UsageStore
from service.api import documents, glossaries, kserve, native, operations, page
from service.api.checks import RequestLimits
from service.api.cors import CrossOrigin
from service.api.deepl import account, multilingual
from service.api.deepl import errors as deepl_errors
from service.api.deepl import glossaries as deepl_glossaries
from service.api.deepl import translate as deepl_translate
from service.api.errors import ErrorShapes, install_error_handlers
from service.api.instrumentation import REQUEST_ID, Instrumentation
from service.api.libretranslate import errors as libretranslate_errors
from service.api.libretranslate import text as libretranslate
from service.api.patience import HttpLimits
from service.api.state import Service
from service.api.urgency import PRIORITY, TIMEOUT
from service.documents.jobs import DocumentJobs, JobLimits
from service.documents.shelf import DirectoryShelf, MemoryShelf
from service.engine.bundle import MANIFEST
from service.engine.engine import Engine
from service.engine.scheduler import SchedulerLimits
from service.engine.sessions import bound_memory
from service.engine.trial import try_out
from service.errors import BundleError
from service.glossary_store import GlossaryStore
from service.metrics import Metrics
from service.pipeline import Translator
from service.settings import Settings
from service.text.language import FastTextIdentifier, packaged_model

logger = logging.getLogger(__name__)

DEEPL = (deepl_translate, account, deepl_glossaries, multilingual)
CORS_HEADERS = ("Authorization", "Content-Type", "X-API-Key", REQUEST_ID, PRIORITY, TIMEOUT)
"""What scripts of other web sites may send."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The engines that could be started, and what is wrong with the bundles that were left out."""

    engines: tuple[Engine, ...]
    faults: tuple[str, ...]


FILE_PATHS = frozenset({documents.PATH})
"""Where whole files are sent."""
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


def create_app(settings: Settings, load: Loader = load_engines) -> FastAPI:
    """The application. Models are loaded while it already listens; `load` is replaced in tests."""
    metrics = Metrics()
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
    service = Service(metrics, limits, access, jobs, stored)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(_open(service, settings, load))
        try:
            with metrics_server(settings, metrics):
                yield
        finally:
            await jobs.close()
            for engine in await loading:
                await asyncio.to_thread(engine.close)
            access.close()
            stored.close()

    app = FastAPI(
        title="seq2serve",
        version=__version__,
        summary="Translation over REST",
        description="Translates text with Transformer and RNN models that run on ONNX Runtime.",
        lifespan=lifespan,
        redirect_slashes=False,
        # FastAPI's own pages of documents load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    app.include_router(native.router)
    app.include_router(documents.router)
    app.include_router(operations.router)
    if settings.metrics_port is None:
        app.include_router(operations.metrics_router)
    app.include_router(page.docs_router)
    if settings.page:
        app.include_router(page.router)
    for part in (glossaries, libretranslate, kserve, *DEEPL):
        app.include_router(part.router)
    shapes = ErrorShapes([libretranslate_errors.SHAPE, kserve.SHAPE, deepl_errors.SHAPE])
    install_error_handlers(app, shapes)
    http = HttpLimits(
        settings.max_body_bytes,
        settings.body_seconds,
        settings.read_seconds,
        settings.max_file_bytes,
        FILE_PATHS,
    )
    app.add_middleware(Instrumentation, metrics=metrics, limits=http, shapes=shapes)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=CORS_HEADERS,
            expose_headers=["Location", "Retry-After", REQUEST_ID],
            max_age=86_400,
        )
    origins = settings.libretranslate_origins
    app.add_middleware(CrossOrigin, shape=libretranslate_errors.SHAPE, origins=origins)
    return app


async def _open(service: Service, settings: Settings, load: Loader) -> Sequence[Engine]:
    try:
        loaded = await asyncio.to_thread(load, settings, service.metrics)
    except Exception:
        logger.exception("loading the models failed")
        service.fail("loading the models failed")
        return ()
    identifier = FastTextIdentifier(packaged_model())
    translator = Translator(
        loaded.engines,
        identifier,
        settings.max_sentences,
        settings.second_tries,
        settings.pivot,
    )
    service.open(translator, loaded.faults)
    return loaded.engines
