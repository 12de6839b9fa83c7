"""Log records as text or as lines of JSON, each with the id of the request that it belongs to.

A record may bring `fields`, a dict of values for machines; JSON shows them, text does not.
"""

import json
import logging
import sys
import time
from contextvars import ContextVar
from typing import Any, Literal

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that is being answered; follows it into its tasks and threads."""


class TextFormatter(logging.Formatter):
    """For people."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Level and message, and the request behind it."""
        line = super().format(record)
        known = request_id.get()
        return f"{line} [{known}]" if known and known not in line else line


class JsonFormatter(logging.Formatter):
    """For machines: one object a line, in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger, message; request id, fields and traceback if there are any."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if known := request_id.get():
            line["request_id"] = known
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure(form: Literal["text", "json"], level: str) -> None:
    """Sends every record to standard error, of other libraries too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
