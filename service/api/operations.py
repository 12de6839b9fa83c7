"""What operators and orchestrators ask: alive, ready, metrics."""

from typing import Literal

from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import choose_encoder
from pydantic import BaseModel, Field

from service.api.errors import error_responses
from service.api.state import ServiceOf

router = APIRouter(tags=["operations"])
metrics_router = APIRouter(tags=["operations"])
"""Apart, because metrics can have a port of their own."""


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = Field(
        "alive", description="Always `alive`: the process answers.", examples=["alive"]
    )


class Started(BaseModel):
    """Start-up is over."""

    status: Literal["started"] = Field(
        "started",
        description="Always `started`; otherwise the answer is a 503.",
        examples=["started"],
    )


class Ready(BaseModel):
    """Translations can be asked for."""

    status: Literal["ready"] = Field(
        "ready", description="Always `ready`; otherwise the answer is a 503.", examples=["ready"]
    )


@router.get("/livez", summary="Whether the process is alive")
async def livez() -> Alive:
    """Answers as soon as the server listens, also while models are being loaded."""
    return Alive()


@router.get("/startupz", summary="Whether start-up is over", responses=error_responses(503))
async def startupz(service: ServiceOf) -> Started:
    """503 until the first model is warm, or all have been tried in vain."""
    service.check_started()
    return Started()


@router.get(
    "/readyz", summary="Whether translations can be asked for", responses=error_responses(503)
)
async def readyz(service: ServiceOf) -> Ready:
    """503 until a model is warm, while one has stopped, and when there is none; says why."""
    service.check_ready()
    return Ready()


@metrics_router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={
        200: {
            "description": "Prometheus text, or OpenMetrics if the Accept header asks for it.",
            "content": {
                "text/plain": {
                    "schema": {"type": "string"},
                    "example": 'seq2serve_finished_sentences_total{model="en-ko",reason="eos"} 42',
                }
            },
        }
    },
)
def metrics(request: Request, service: ServiceOf) -> Response:
    """Requests, stage latencies, batch sizes, tokens and queues."""
    try:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
    except TypeError:  # prometheus_client compares a version that it could not read
        encode, content_type = choose_encoder("")
    return Response(encode(service.metrics.registry), headers={"Content-Type": content_type})
