"""The one answer to "may this caller do that?", for every protocol. Knows no HTTP."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeVar

from service.access.keys import ANYBODY, Caller, KeyFile, Scope
from service.access.quotas import Charge, Usage, UsageStore
from service.errors import Forbidden, InvalidKey, MissingKey, StoreFailed

ResultT = TypeVar("ResultT")


class Access:
    """Without keys everybody may translate as much as they like, and nobody may administer."""

    def __init__(self, keys: KeyFile | None = None, usage: UsageStore | None = None) -> None:
        self._keys = keys
        self._usage = usage
        # The store lets one in at a time anyway; a thread of its own keeps the event loop free.
        self._thread = ThreadPoolExecutor(1, "usage")

    @property
    def needs_key(self) -> bool:
        """Whether callers must have a key."""
        return self._keys is not None

    def admit(self, secret: str | None, scope: Scope | None = Scope.TRANSLATE) -> Caller:
        """Who calls, if they may. Raises MissingKey, InvalidKey or Forbidden.

        `secret` is what stands where the protocol has its keys; None or empty is no key. Without a
        `scope` any key will do.
        """
        caller = ANYBODY
        if self._keys is not None:
            if not secret:
                raise MissingKey
            found = self._keys.find(secret)
            if found is None:
                raise InvalidKey
            caller = found
        if scope is not None and scope not in caller.scopes:
            raise Forbidden(scope)
        return caller

    @asynccontextmanager
    async def charged(self, caller: Caller, characters: int) -> AsyncIterator[None]:
        """Counts a request that is served inside. Raises RateLimited or QuotaExceeded, and
        StoreFailed if limits of the caller cannot be looked after.

        When the inside raises, characters are given back.
        """
        charge = await self._charge(caller, characters)
        try:
            yield
        except BaseException:
            if charge is not None and self._usage is not None:
                with suppress(StoreFailed):
                    await asyncio.shield(self._apart(partial(self._usage.refund, charge)))
            raise

    async def _charge(self, caller: Caller, characters: int) -> Charge | None:
        if self._usage is None or caller is ANYBODY:
            return None
        try:
            return await self._apart(partial(self._usage.charge, caller, characters))
        except StoreFailed:
            if caller.limits.any:
                raise
            return None  # nothing depends on the count

    async def usage(self, caller: Caller) -> Usage:
        """What the caller has used in this month. Raises StoreFailed."""
        if self._usage is None or caller is ANYBODY:
            return Usage(0, 0, None)
        return await self._apart(partial(self._usage.usage, caller))

    def close(self) -> None:
        """After the last request."""
        self._thread.shutdown()
        if self._usage is not None:
            self._usage.close()

    async def _apart(self, work: Callable[[], ResultT]) -> ResultT:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
