"""Keys of callers, from where protocols put them. Who may do what is not decided here."""

from collections.abc import Awaitable, Callable
from typing import Annotated, cast

from fastapi import Depends, Request

from service.access.keys import Caller, Scope
from service.api.bodies import read_fields
from service.api.http.exchange import exchange_of
from service.api.state import Service

KeyReader = Callable[[Request], Awaitable[str | None]]
"""Finds the key in a request of one protocol; None if there is none."""

_SCHEMES = ("bearer", "deepl-auth-key")


async def header_key(request: Request) -> str | None:
    """`Authorization: Bearer KEY` or `DeepL-Auth-Key KEY`, or `X-API-Key: KEY`."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() in _SCHEMES and key.strip():
        return key.strip()
    return request.headers.get("x-api-key")


def header_or_field(*names: str) -> KeyReader:
    """Reads a key from a header, or from a field of the body or the query with one of the names."""

    async def read(request: Request) -> str | None:
        if key := await header_key(request):
            return key
        fields = await read_fields(request)
        key = next((fields[name] for name in names if fields.get(name)), None)
        return key if isinstance(key, str) else None

    return read


def admitted(
    read: KeyReader = header_key, scope: Scope | None = Scope.TRANSLATE
) -> Callable[[Request], Awaitable[Caller]]:
    """A dependency: the caller, who has the scope; None is content with any key. A protocol brings
    its own reader of keys."""

    async def admit(request: Request) -> Caller:
        access = cast(Service, request.app.state.service).access
        caller = access.admit(await read(request) if access.needs_key else None, scope)
        exchange = exchange_of(request.scope)
        if exchange is not None:
            exchange.caller = caller.name
        return caller

    return admit


may_translate = admitted()
CallerOf = Annotated[Caller, Depends(may_translate)]
"""Whoever calls a route that reads keys from headers only."""

any_key = admitted(scope=None)
"""A dependency of routes that only tell what there is."""

admin_only = admitted(scope=Scope.ADMIN)
"""A dependency of routes that change what the server has loaded; closed without an admin key."""
