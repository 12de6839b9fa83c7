"""What is fed with bytes that mean nothing, or nearly something; raises if a promise breaks."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from service.access.keys import KeyFileError, read_keys
from service.app import Loaded, create_app
from service.engine.graph_file import MAX_FAULTS, graph_file_faults
from service.settings import Settings
from service.text.protection import find_protected, mask, shield
from service.text.segmentation import Splitting, segment, segment_to_fit
from tests.fakes import make_engine


def segmentation(data: bytes) -> None:
    """No character of a text is lost, whatever it is and however short sentences have to be."""
    text = data[1:].decode("utf-8", "surrogateescape")
    first = data[0] if data else 0
    language = ("en", "ko")[first % 2]
    splitting = list(Splitting)[first // 2 % len(Splitting)]
    limit = 1 + first // 8
    cut = segment(text, language, limit, splitting)
    assert cut.join(cut.sentences) == text
    assert all(len(sentence) <= limit for sentence in cut.sentences)
    fitted = segment_to_fit(text, language, lambda sentence: len(sentence) <= limit, splitting)
    assert fitted.join(fitted.sentences) == text


def protection(data: bytes) -> None:
    """What is protected stands in order and apart, masks keep the length, edits can be undone."""
    text = data.decode("utf-8", "surrogateescape")
    found = find_protected(text)
    ends = [0, *(each.span.end for each in found)][: len(found)]
    pairs = zip(ends, found, strict=True)
    assert all(end <= each.span.start < each.span.end for end, each in pairs)
    assert len(mask(text, found)) == len(text)
    shielded = shield(text, found)
    assert [h.text for h in shielded.literals] == [
        text[h.span.start : h.span.end] for h in shielded.literals
    ]


def graphs(data: bytes) -> None:
    """A file that is no graph has faults in words, and never an exception."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "graph"
        path.write_bytes(data)
        assert len(graph_file_faults(path)) <= MAX_FAULTS


def keys(data: bytes) -> None:
    """A file of keys is read, or refused in words."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "keys"
        path.write_bytes(data)
        with suppress(KeyFileError):
            read_keys(path)


class Requests:
    """Bodies for every route that takes one, over an application without sockets."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        settings = Settings(max_characters=2000)
        self._engine = make_engine()
        self._app = create_app(settings, lambda *_: Loaded((self._engine,), ()))
        self._lifespan = self._app.router.lifespan_context(self._app)
        self._loop.run_until_complete(self._lifespan.__aenter__())
        transport = httpx.ASGITransport(self._app)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://test")
        operations = self._app.openapi()["paths"].items()
        self._paths = [path for path, methods in operations if "post" in methods]
        while self._post("/v1/translate", b"{}").status_code == 503:
            pass

    def __call__(self, data: bytes) -> None:
        """The answer is no fault of the server, and it is in words."""
        path = self._paths[(data[0] if data else 0) % len(self._paths)]
        answer = self._post(path.replace("{", "").replace("}", ""), data[1:])
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        if answer.status_code >= 400:
            json.loads(answer.content)

    def close(self) -> None:
        """Ends the application."""
        self._loop.run_until_complete(self._client.aclose())
        self._loop.run_until_complete(self._lifespan.__aexit__(None, None, None))
        self._loop.close()

    def _post(self, path: str, body: bytes) -> httpx.Response:
        headers = {"content-type": "application/json"}
        posting = self._client.post(path, content=body, headers=headers)
        return self._loop.run_until_complete(posting)


TARGETS = {
    "segmentation": segmentation,
    "protection": protection,
    "graphs": graphs,
    "keys": keys,
}
"""By name; requests come besides, because they need an application."""
SEEDS = (
    b'\x00{"text": ["Good day. 2 < 3 & {name}"], "source": "en", "target": "ko", "decoding": '
    b'{"strategy": "beam", "beam_size": 2, "n_best": 1}, "alignment": false, "model": "fake"}',
    "\x01안녕하세요? \U0001f600 3.14... “Hi.”\r\n\r\nMr. Kim. (a) 1. e.g.".encode(),
    b'See https://example.org/a?b=c, {name} %1$s {{x}} `code` a@example.org <x id="7"></x> 1.5 km',
    b"\x3a\x0a\x0a\x08x\x12\x01y\x22\x03Add",
    b"web translate,admin sha256:" + b"0" * 64 + b" requests_per_minute=3\n# x\n",
)
"""Something that is nearly right, to begin with."""
