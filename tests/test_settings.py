"""Settings come from the environment, and what is given by name wins."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import Settings


def test_the_environment_is_read_and_arguments_win(monkeypatch):
    """The order of precedence: argument, environment, default."""
    monkeypatch.setenv("SEQ2SERVE_PORT", "9000")
    monkeypatch.setenv("SEQ2SERVE_HOST", "0.0.0.0")
    settings = Settings(port=9001)
    assert (settings.port, settings.host, settings.max_beam_size) == (9001, "0.0.0.0", 8)


def test_there_is_a_worker_for_each_core():
    """At least one."""
    assert Settings().workers >= 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", 70000),
        ("workers", 0),
        ("max_texts", 0),
        ("batch_tokens", 0),
        ("sentence_cache_bytes", -1),
        ("log_level", "loud"),
    ],
)
def test_values_out_of_range_are_refused(name, value):
    """The fault names the setting."""
    with pytest.raises(ValidationError, match=name):
        Settings(**{name: value})


def test_every_setting_says_what_it_does():
    """Operators read the descriptions, and the table of docs/operations.md."""
    page = (Path(__file__).parents[1] / "docs/operations.md").read_text("utf-8")
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|.*\|.*\|$", page, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"\w+", row)}
    for name, field in Settings.model_fields.items():
        assert field.description
        assert name in told
