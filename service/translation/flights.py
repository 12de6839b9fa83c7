"""Requests on their way to the Translator, a few at a time, taken back in their order."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from service.errors import Overloaded
from service.translation.request import TranslationRequest
from service.translation.result import TranslationResult
from service.translation.translator import Translator

HALF = "\ufffd"
"""What is made of a character of which only some bytes were said."""
AT_ONCE = 64
"""More than run side by side, and few beside what the queue takes."""
Translate = Callable[[TranslationRequest], Coroutine[Any, Any, TranslationResult]]
Sleep = Callable[[float], Awaitable[object]]


class Flight:
    """One request under way, and an ear for what is said of it. Made in the event loop."""

    def __init__(self, translate: Translate, request: TranslationRequest) -> None:
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._awaited = False
        self._spell: Callable[[], str] | None = None
        self._task = asyncio.create_task(translate(replace(request, listener=self._hear)))
        self._task.add_done_callback(lambda _: self._news.set())

    async def said(self) -> AsyncIterator[str]:
        """The beginning of the translation, longer each time, until there is a result. What came
        too fast is left out."""
        self._awaited = True
        if self._spell is not None:
            self._news.set()
        while True:
            await self._news.wait()
            self._news.clear()
            if self._task.done():
                return
            if self._spell is not None:
                yield self._spell().rstrip(HALF)

    async def result(self) -> TranslationResult:
        """Raises what ended it."""
        return await self._task

    def cancel(self) -> asyncio.Future[TranslationResult]:
        """Ends it, some time soon."""
        self._task.cancel()
        return self._task

    def _hear(self, spell: Callable[[], str]) -> None:
        """Called in a worker's thread, at every step; most of it is never spelt."""
        self._spell = spell
        if self._awaited and not self._news.is_set():
            self._loop.call_soon_threadsafe(self._news.set)


class Flights:
    """Belongs to one event loop; close it."""

    def __init__(
        self, translator: Translator, requests: Iterable[TranslationRequest], sleep: Sleep
    ) -> None:
        self._at_once = translator.translate
        self._patiently = partial(patiently, translator, sleep=sleep)
        self._requests = iter(requests)
        self._under_way: deque[Flight] = deque()
        self._at_hand: tuple[Flight, ...] = ()  # the last that `next` gave away
        self._begun = False

    def next(self) -> Flight:
        """The oldest that is under way. Raises IndexError if there is none any more."""
        while len(self._under_way) < AT_ONCE:
            request = next(self._requests, None)
            if request is None:
                break
            # The first is turned away like every other; once something was told, it must go on.
            translate = self._patiently if self._begun else self._at_once
            self._under_way.append(Flight(translate, request))
            self._begun = True
        self._at_hand = (self._under_way.popleft(),)
        return self._at_hand[0]

    async def close(self) -> None:
        """Ends all that is under way."""
        tasks = [flight.cancel() for flight in (*self._at_hand, *self._under_way)]
        await asyncio.gather(*tasks, return_exceptions=True)


async def patiently(
    translator: Translator, request: TranslationRequest, sleep: Sleep
) -> TranslationResult:
    """As Translator.translate, but a full queue is waited for."""
    while True:
        try:
            return await translator.translate(request)
        except Overloaded as busy:
            await sleep(busy.retry_after)
