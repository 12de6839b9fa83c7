"""Events that are made in a task of their own, a few ahead of whoever reads them."""

import asyncio
from collections.abc import AsyncIterator

from service.translation.streaming import StreamEvent

AHEAD = 16
"""Events that wait for a slow reader. Then the work waits too, and nothing piles up."""
PATIENCE = 15.0
"""Seconds without an event after which the reader is told that there will be more."""


class Telling:
    """Belongs to one request; close it."""

    def __init__(self, events: AsyncIterator[StreamEvent]) -> None:
        self._queue: asyncio.Queue[StreamEvent | Exception | None] = asyncio.Queue(AHEAD)
        self._first: StreamEvent | None = None
        self._task = asyncio.create_task(self._make(events))

    async def begin(self) -> None:
        """Waits for the first event. Raises what came instead of one."""
        self._first = await self._next()

    async def events(self) -> AsyncIterator[StreamEvent | None]:
        """All events, from the first; None each time that nothing has come for a while. Raises
        what ended the work."""
        event: StreamEvent | None = self._first
        while event is not None:
            yield event
            while True:
                try:
                    async with asyncio.timeout(PATIENCE):
                        event = await self._next()
                    break
                except TimeoutError:
                    pass
                yield None

    def close(self) -> None:
        """Ends the work if there is anything left of it."""
        self._task.cancel()

    async def _make(self, events: AsyncIterator[StreamEvent]) -> None:
        end: Exception | None = None
        try:
            async for event in events:
                await self._queue.put(event)
        except Exception as error:
            end = error
        await self._queue.put(end)

    async def _next(self) -> StreamEvent | None:
        event = await self._queue.get()
        if isinstance(event, Exception):
            raise event
        return event
