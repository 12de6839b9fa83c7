"""Every route keeps what its OpenAPI promises: no 5xx, and no answer outside its schema.

schemathesis makes the requests from the description, good ones and bad ones, always the same.
That the application describes itself as the stored file does is tested elsewhere.
"""

import json
from pathlib import Path

import pytest
import schemathesis
from fastapi import FastAPI, HTTPException
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.python.asgi import shutdown_lifespans
from starlette.responses import JSONResponse

from service.api.state import NotReady
from service.app import Loaded, create_app
from service.settings import Settings
from tests.fakes import make_engine
from tests.polling import wait_until

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


STORED = json.loads((Path(__file__).parents[2] / "docs/openapi.json").read_text("utf-8"))
OPERATIONS = [(path, method) for path, methods in STORED["paths"].items() for method in methods]


@pytest.fixture(scope="module")
def described():
    """The stored description, and an application whose model echoes its source."""
    app = create_app(Settings(), lambda _, metrics: Loaded((make_engine(metrics=metrics),), ()))
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=SchemathesisConfig())

    def loaded() -> bool:
        try:
            app.state.service.check_ready()
        except NotReady:
            return False
        return True

    wait_until(loaded)  # 503 is an honest answer before
    yield schema
    shutdown_lifespans()


def keep_promises(operation, mode: GenerationMode) -> None:
    """Asks one route, well or badly, and looks at the answers."""

    @settings(
        max_examples=8,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case):
        case.call_and_validate(checks=CHECKS)

    try:
        ask()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE  # nothing can be wrong with such a request


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_route_keeps_its_promises(described, path, method, mode):
    """Statuses, content types, headers and bodies are those that are written down."""
    keep_promises(described[path][method], mode)


@pytest.mark.parametrize("broken", ["/status", "/body"])
def test_the_check_sees_broken_promises(broken):
    """A status that is not described, and a body that is not as described."""
    app = FastAPI()

    @app.get("/status")
    def status() -> int:
        raise HTTPException(418)

    @app.get("/body", response_model=int)
    def body() -> JSONResponse:
        return JSONResponse("text")

    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=SchemathesisConfig())
    with pytest.raises(FailureGroup):
        keep_promises(schema[broken]["get"], GenerationMode.POSITIVE)
