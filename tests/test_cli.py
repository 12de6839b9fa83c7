"""The command line, on the shipped model."""

import json
import re
import threading
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from service.access.keys import Caller, KeyFile, KeyLimits, Scope
from service.app import create_app
from service.cli import app
from service.settings import Settings
from tests.polling import wait_until
from tests.serving import serve_process

ROOT = Path(__file__).parent.parent
MODELS = str(ROOT / "models")


def run(*arguments: str, stdin: str = ""):
    """Runs `seq2serve` in this process."""
    return CliRunner().invoke(app, [*arguments], input=stdin)


def test_translate_prints_translations():
    """Without --from it is the other language of the pair."""
    result = run("translate", "--models", MODELS, "--to", "ko", "Good morning")
    assert result.exit_code == 0
    assert re.search("[가-힣]", result.stdout)


def test_translate_reads_lines_from_stdin():
    """One translation a line."""
    result = run("translate", "--models", MODELS, "--to", "en", stdin="안녕하세요.\n고마워요.\n")
    assert len(result.stdout.strip().splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--models", MODELS, "--to", "fr"], "cannot translate en-fr; available directions"),
        (["--models", MODELS, "--model", "none"], "available models: en-ko-transformer"),
        (["--models", "nowhere"], "there is no bundle in nowhere"),
    ],
)
def test_translate_says_what_is_wrong(arguments, words):
    """One line on stderr and exit code 1."""
    result = run("translate", *arguments, "hi")
    assert result.exit_code == 1
    assert words in result.stderr


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        (["bad \udcff"], b"", "a text is not UTF-8"),
        ([], b"bad \xff\n", "stdin is not UTF-8"),
        (["--beam-size", "100000", "hi"], b"", "is above 8"),
    ],
)
def test_translate_refuses_what_it_cannot_do(arguments, stdin, words):
    """Before any model is loaded, and in words instead of a traceback."""
    result = CliRunner().invoke(app, ["translate", "--models", MODELS, *arguments], input=stdin)
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_setting_out_of_range_is_named(monkeypatch):
    """Flags and environment are checked alike."""
    monkeypatch.setenv("SEQ2SERVE_WORKERS", "0")
    result = run("serve", "--port", "99999")
    assert result.exit_code == 2
    assert "setting port" in result.stderr
    assert "setting workers" in result.stderr or "WORKERS" in result.stderr


def test_the_stored_openapi_is_the_served_one():
    """`make openapi` was run after the last change."""
    stored = json.loads((ROOT / "docs/openapi.json").read_text("utf-8"))
    assert create_app(Settings()).openapi() == stored


def test_serve_listens_and_ends_cleanly_on_sigterm():
    """Fails when a real process does not answer, or its exit after SIGTERM is not 0."""
    body = {"text": "Hello.", "source": "en", "target": "ko"}
    with serve_process(MODELS) as url:
        assert httpx.post(f"{url}/v1/translate", json=body).status_code == 200


def test_what_was_accepted_is_answered_after_sigterm():
    """Fails when SIGTERM ends what is being translated: it is answered first, as a whole, and
    nothing new is let in."""
    text = "This is a sentence with a few words, number {}. "
    body = {"text": "".join(map(text.format, range(400))), "source": "en", "target": "ko"}
    answers = []
    with serve_process(MODELS) as url:
        asking = threading.Thread(
            target=lambda: answers.append(httpx.post(f"{url}/v1/translate", json=body, timeout=60))
        )
        asking.start()
        running = re.compile(r"^seq2serve_running_sentences\{.*\} [1-9]", re.MULTILINE)
        wait_until(lambda: bool(running.search(httpx.get(f"{url}/metrics").text)))
    asking.join()
    assert answers[0].status_code == 200
    assert answers[0].json()["usage"]["characters"] == len(body["text"])


def test_a_key_is_made_and_works(tmp_path):
    """The line on stdout goes into the file; the key itself is shown once, on stderr."""
    made = run("key", "web", "--scope", "admin", "--characters-per-month", "9")
    assert made.exit_code == 0
    secret = made.stderr.removeprefix("key: ").strip()
    assert secret not in made.stdout
    (tmp_path / "keys").write_text(made.stdout, "utf-8")
    caller = KeyFile(tmp_path / "keys").find(secret)
    assert caller == Caller("web", frozenset({Scope.ADMIN}), KeyLimits(characters_per_month=9))
    assert run("key", "a b").exit_code == 2


def test_a_file_of_keys_with_faults_stops_the_start(tmp_path, monkeypatch):
    """Nothing is served half open."""
    (tmp_path / "keys").write_text("nonsense", "utf-8")
    monkeypatch.setenv("SEQ2SERVE_KEYS", str(tmp_path / "keys"))
    result = run("serve", "--port", "0")
    assert result.exit_code == 2
    assert "line 1: needs a name, scopes and a hash" in result.stderr


def test_bundles_are_checked(tmp_path):
    """What is sound is said to be, and what is not with its faults; the exit code tells."""
    sound = ROOT / "models/en-ko-rnn-seq2seq"
    (tmp_path / "manifest.json").write_text("{}", "utf-8")
    result = run("check", str(sound), str(tmp_path))
    assert result.exit_code == 1
    assert f"{sound} is sound" in result.stdout
    assert "format_version is None" in result.stderr
    assert run("check", str(tmp_path / "none")).exit_code == 1
