"""One line for each request: who asked for what, how it ended, and where the time went.

Texts are left out unless the operator asks for them.
"""

import logging
from typing import Any

from service.api.http.exchange import Exchange

logger = logging.getLogger("service.access_log")

QUIET = frozenset({"/startupz", "/livez", "/readyz", "/metrics"})
"""Routes that are asked every few seconds: their successes are worth a line for debugging only."""


class AccessLog:
    """`texts` also writes what was translated, and into what."""

    def __init__(self, texts: bool = False) -> None:
        self.texts = texts

    def write(self, exchange: Exchange) -> None:
        """The request has ended."""
        quiet = exchange.route in QUIET and exchange.status == 200
        level = logging.DEBUG if quiet else logging.INFO
        if not logger.isEnabledFor(level):
            return
        logger.log(
            level,
            "%s %s %s %.4f s %s",
            exchange.method,
            exchange.route,
            exchange.status or 499,
            exchange.seconds,
            exchange.request_id,
            extra={"fields": self._fields(exchange)},
        )

    def _fields(self, exchange: Exchange) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "method": exchange.method,
            "route": exchange.route,
            "status": exchange.status or 499,
            "seconds": round(exchange.seconds, 6),
        }
        if exchange.reason:
            fields["reason"] = exchange.reason
        if exchange.caller:
            fields["key"] = exchange.caller
        took, wanted = exchange.summary, exchange.wanted
        if took is not None:
            fields |= {
                "model": took.model,
                "characters": took.characters,
                "source_tokens": took.source_tokens,
                "target_tokens": took.target_tokens,
                "timings": {stage: round(s, 6) for stage, s in took.timings.items()},
            }
        if self.texts and wanted is not None:
            fields["texts"] = wanted.texts
            if took is not None:
                fields["translations"] = exchange.translations
        return fields
