"""What surrounds every translation, whatever the protocol: checks, quotas, a deadline, and a
caller who waits."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

from fastapi import Request

from service.access.keys import Caller
from service.api.checks import check, check_amounts
from service.api.http.disconnect import while_connected
from service.api.http.exchange import Exchange, exchange_of
from service.api.native.telling import Telling
from service.api.state import Service
from service.api.urgency import urgency_of, within
from service.text.language import Detection
from service.translation.request import TranslationRequest
from service.translation.result import Summary, TranslationResult, untranslated
from service.translation.streaming import (
    StreamedSentence,
    StreamedText,
    StreamEnd,
    StreamEvent,
    stream,
)


async def translated(
    request: Request, service: Service, caller: Caller, wanted: TranslationRequest
) -> TranslationResult:
    """Checks, charges and translates. Raises InvalidRequest, RequestError, RateLimited,
    QuotaExceeded, Overloaded, EngineFailed, DeadlineExceeded or ClientGone; only an answer costs
    characters."""
    wanted, seconds = _checked(request, service, wanted)
    async with (
        within(seconds),
        service.access.charged(caller, wanted.characters),
    ):
        result = await while_connected(request, service.translator.translate(wanted))
    exchange = exchange_of(request.scope)
    if exchange is not None:
        exchange.summary = result.summary
    if exchange is not None and exchange.keeps_texts:
        exchange.translations = [each.hypotheses[0].text for each in result.translations]
    return result


async def streamed(
    request: Request, service: Service, caller: Caller, wanted: TranslationRequest
) -> Telling:
    """As `translated`, once there is a first event; what goes wrong later is told at its time."""
    wanted, seconds = _checked(request, service, wanted)
    exchange = exchange_of(request.scope)

    async def events() -> AsyncIterator[StreamEvent]:
        async with (
            within(seconds),
            service.access.charged(caller, wanted.characters),
            aclosing(stream(service.translator, wanted)) as told,
        ):
            async for event in told:
                if exchange is not None:
                    _note(exchange, event)
                yield event

    telling = Telling(events())
    try:
        await while_connected(request, telling.begin())
    except BaseException:
        telling.close()
        raise
    return telling


def _note(exchange: Exchange, event: StreamEvent) -> None:
    """What the log will say of a stream."""
    if isinstance(event, StreamEnd):
        exchange.summary = event.summary
    elif exchange.keeps_texts and isinstance(event, StreamedSentence | StreamedText):
        if event.text == len(exchange.translations):
            exchange.translations.append("")
        said = (
            event.before + event.translation.hypotheses[0].text
            if isinstance(event, StreamedSentence)
            else event.after
        )
        exchange.translations[event.text] += said


async def translated_or_same(
    request: Request, service: Service, caller: Caller, wanted: TranslationRequest
) -> TranslationResult:
    """As `translated`; texts that are in the target language already come back as they are."""
    if wanted.source != wanted.target:
        return await translated(request, service, caller, wanted)
    check_amounts(wanted.texts, service.limits)
    said = Detection(wanted.target, 1.0)
    same = tuple(replace(untranslated(text, said), detected=None) for text in wanted.texts)
    return TranslationResult(same, Summary(None, wanted.characters, 0, 0, {}))


def _checked(
    request: Request, service: Service, wanted: TranslationRequest
) -> tuple[TranslationRequest, float]:
    """The request with its urgency, and the seconds that it has. Raises InvalidRequest or
    UnknownModel."""
    urgency = urgency_of(request.headers, service.limits.max_seconds)
    wanted = replace(wanted, bulk=urgency.bulk)
    check(wanted, service.translator.catalogue, service.limits)
    exchange = exchange_of(request.scope)
    if exchange is not None:
        exchange.wanted = wanted
    return wanted, urgency.seconds
