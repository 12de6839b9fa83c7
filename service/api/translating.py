"""What surrounds every translation, whatever the protocol: checks, quotas, a deadline, and a
caller who waits."""

from dataclasses import replace

from fastapi import Request

from service.access.keys import Caller
from service.api.checks import check
from service.api.disconnect import while_connected
from service.api.state import Service
from service.api.urgency import urgency_of, within
from service.pipeline import TranslationRequest, TranslationResult


async def translated(
    request: Request, service: Service, caller: Caller, wanted: TranslationRequest
) -> TranslationResult:
    """Checks, charges and translates. Raises InvalidRequest, RequestError, RateLimited,
    QuotaExceeded, Overloaded, EngineFailed, DeadlineExceeded or ClientGone; only an answer costs
    characters."""
    translator = service.translator
    urgency = urgency_of(request.headers, service.limits.max_seconds)
    wanted = replace(wanted, bulk=urgency.bulk)
    check(wanted, translator, service.limits)
    async with (
        within(urgency.seconds),
        service.access.charged(caller, sum(map(len, wanted.texts))),
    ):
        return await while_connected(request, translator.translate(wanted))
