"""Every route, protocol by protocol, and what is special about some paths."""

from fastapi import FastAPI

from service.api import kserve, operations, page
from service.api.deepl import account, multilingual
from service.api.deepl import documents as deepl_documents
from service.api.deepl import errors as deepl_errors
from service.api.deepl import glossaries as deepl_glossaries
from service.api.deepl import translate as deepl_translate
from service.api.errors import ErrorShapes
from service.api.libretranslate import errors as libretranslate_errors
from service.api.libretranslate import files as libretranslate_files
from service.api.libretranslate import text as libretranslate_text
from service.api.native import documents, glossaries, lifecycle, models, translate

NATIVE = (translate, models, lifecycle, documents)
LIBRETRANSLATE = (libretranslate_text, libretranslate_files)
DEEPL = (deepl_translate, account, deepl_glossaries, multilingual, deepl_documents)

FILE_PATHS = frozenset({documents.PATH, deepl_documents.PATH, libretranslate_files.PATH})
"""Where whole files are sent."""
LIBRETRANSLATE_PATHS = libretranslate_errors.SHAPE
"""Which pages of other web sites may ask, as they may ask LibreTranslate."""


def error_shapes() -> ErrorShapes:
    """How each protocol answers faults."""
    return ErrorShapes([libretranslate_errors.SHAPE, kserve.SHAPE, deepl_errors.SHAPE])


def add_routes(app: FastAPI, with_metrics: bool, with_page: bool) -> None:
    """Adds all; metrics may have a port of their own, and the page may not be wanted."""
    for part in (*NATIVE, operations):
        app.include_router(part.router)
    if with_metrics:
        app.include_router(operations.metrics_router)
    app.include_router(page.docs_router)
    if with_page:
        app.include_router(page.router)
    for part in (glossaries, *LIBRETRANSLATE, kserve, *DEEPL):
        app.include_router(part.router)
