"""Work that is only worth doing while the caller waits for it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

ResultT = TypeVar("ResultT")


class ClientGone(Exception):
    """The caller went away before the answer was ready."""


async def while_connected(request: Request, work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Awaits `work`, or cancels it and raises ClientGone when the connection is lost.

    The request's body must have been read: after it, only a disconnect can be received.
    """
    task = asyncio.create_task(work)
    gone = asyncio.create_task(_disconnect(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientGone
    finally:
        # Waited for, so that nothing of this request runs on after its end.
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
