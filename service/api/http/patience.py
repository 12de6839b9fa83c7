"""How long a client is waited for: those that send or read too slowly do not stay for ever."""

import asyncio
import time
from dataclasses import dataclass, replace

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Send

FORM_BYTES = 65_536
"""For what stands around a file in a form."""


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What one request may send, and how long it may take to send and to read."""

    max_body_bytes: int
    body_seconds: float = 30.0
    """For a whole body to arrive."""
    read_seconds: float = 60.0
    """For a part of an answer to be taken, once the buffers are full."""
    max_file_bytes: int = 10_485_760
    file_paths: frozenset[str] = frozenset()
    """Where whole files are sent."""

    def at(self, path: str) -> "HttpLimits":
        """The limits of a request to this path."""
        if path not in self.file_paths:
            return self
        return replace(self, max_body_bytes=self.max_file_bytes + FORM_BYTES)


class SlowReader(Exception):
    """The client does not take its answer."""


def patient_receive(receive: Receive, limits: HttpLimits) -> Receive:
    """Raises HTTPException 413 or 408 for a body that is too large or too late."""
    read, complete = 0, False
    ends = time.monotonic() + limits.body_seconds

    async def receiving() -> Message:
        nonlocal read, complete
        if complete:  # what comes now is the end of the connection, whenever that is
            return await receive()
        try:
            async with asyncio.timeout(ends - time.monotonic()):
                message = await receive()
        except TimeoutError as error:
            late = f"the body did not arrive within {limits.body_seconds:g} s"
            raise HTTPException(408, late, {"Connection": "close"}) from error
        read += len(message.get("body", b""))
        if read > limits.max_body_bytes:
            raise HTTPException(413, too_large(limits), {"Connection": "close"})
        complete = not message.get("more_body", False)
        return message

    return receiving


def patient_send(send: Send, limits: HttpLimits) -> Send:
    """Raises SlowReader when a part of the answer is not taken in time."""

    async def sending(message: Message) -> None:
        try:
            async with asyncio.timeout(limits.read_seconds):
                await send(message)
        except TimeoutError as error:
            raise SlowReader from error

    return sending


def too_large(limits: HttpLimits) -> str:
    """The words for a body above the limit."""
    return f"the body is larger than {limits.max_body_bytes} bytes"
