"""Lines of the log, for people and for machines."""

import json
import logging
import sys

from service.logs import JsonFormatter, TextFormatter, request_id


def record(message="hello %s", *arguments, fields=None, error=None):
    """A log record."""
    made = logging.LogRecord("service.x", logging.WARNING, "x.py", 1, message, arguments, error)
    if fields:
        made.fields = fields
    return made


def test_json_is_one_object_a_line():
    """With the time in UTC, the request and whatever fields there are."""
    known = request_id.set("r-1")
    line = JsonFormatter().format(record("two\nlines of %s", "한국어", fields={"status": 200}))
    request_id.reset(known)
    assert "\n" not in line
    assert "한국어" in line
    read = json.loads(line)
    assert read.pop("time").endswith("Z")
    assert read == {
        "level": "warning",
        "logger": "service.x",
        "message": "two\nlines of 한국어",
        "request_id": "r-1",
        "status": 200,
    }


def test_a_traceback_is_a_field():
    """On the same line."""
    try:
        raise ValueError("why")
    except ValueError:
        line = JsonFormatter().format(record("failed", error=sys.exc_info()))
    assert "ValueError: why" in json.loads(line)["exception"]


def test_what_json_does_not_know_is_written_as_text():
    """A log line is no place to fail."""
    assert "{1}" in JsonFormatter().format(record("x", fields={"set": {1}}))


def test_text_names_the_request_once():
    """Whether the message has it or not."""
    known = request_id.set("r-1")
    try:
        assert TextFormatter().format(record("lost")) == "WARNING: lost [r-1]"
        assert TextFormatter().format(record("lost %s", "r-1")) == "WARNING: lost r-1"
    finally:
        request_id.reset(known)
    assert TextFormatter().format(record("lost")) == "WARNING: lost"
