"""POST /v1/translate with `"stream": true`: server-sent events."""

import json

import httpx
import pytest

from service.app import Loaded, create_app
from service.settings import Settings
from tests.fakes import FIRST, EchoModel, Gate, make_engine
from tests.polling import wait_until
from tests.serving import serve

BODY = {"source": "en", "target": "ko", "stream": True}
TEXT = "Hello there.\n\n  How are you?\t"


def events_in(body: str) -> list[tuple[str, dict]]:
    """Names and data, as any client of server-sent events would read them."""
    found = []
    for block in body.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
        if fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


def rebuilt(events: list[tuple[str, dict]], text: int) -> str:
    """A whole translation, as the documentation says."""
    pieces = []
    for name, data in events:
        if name == "sentence" and data["text"] == text:
            pieces += [data["before"], data["translation"]["text"]]
        elif name == "text" and data["text"] == text:
            pieces.append(data["after"])
    return "".join(pieces)


async def test_the_events_are_the_plain_answer(client):
    """One for each sentence, one for the end of each text, one for the end of all."""
    body = {**BODY, "text": [TEXT, "Bye!", "12"]}
    answer = await client.post("/v1/translate", json=body)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    plain = (await client.post("/v1/translate", json=body | {"stream": False})).json()
    events = events_in(answer.text)
    assert [name for name, _ in events] == [
        "sentence",
        "sentence",
        "text",
        "sentence",
        "text",
        "text",
        "done",
    ]
    for number, translation in enumerate(plain["translations"]):
        assert rebuilt(events, number) == translation["text"]
    assert events[-1][1] == {"model": plain["model"], "usage": plain["usage"]}
    second = events[1][1]
    assert TEXT[second["source"]["start"] : second["source"]["end"]] == "How are you?"
    assert second["translation"].items() >= {"source": "en", "target": "ko"}.items()


async def test_mistakes_are_answered_before_there_is_a_stream(client):
    """With the status that they have everywhere."""
    body = {**BODY, "text": TEXT}
    for change, status in [({"target": "xx"}, 422), ({"model": "none"}, 404), ({"text": ""}, 422)]:
        answer = await client.post("/v1/translate", json=body | change)
        assert answer.status_code == status
        assert answer.json()["error"]["message"]
    decoding = {"max_target_length": 9999}
    answer = await client.post("/v1/translate", json=body | {"decoding": decoding})
    assert answer.status_code == 422


def serving(model, **limits):
    """A server whose engine has this model."""

    def load(_, metrics):
        return Loaded((make_engine(model, metrics=metrics, **limits),), ())

    return serve(create_app(Settings(page=False), load))


class Letters(EchoModel):
    """Calls `on` when it is to translate a sentence with this letter."""

    def __init__(self, letter: str, on):
        super().__init__(300)
        self.letter, self.on = ord(letter) + FIRST, on

    def encode(self, sources, beam_size=1):
        """Looks at what there is to do."""
        if any(self.letter in source for source in sources):
            self.on()
        return super().encode(sources, beam_size)


def test_the_first_sentence_arrives_before_the_last_is_decoded():
    """Over a real connection: the model cannot go on until the client has read the first."""
    gate = Gate()
    with (
        serving(Letters("Z", lambda: gate(0)), batch_rows=1) as url,
        httpx.stream(
            "POST",
            f"{url}/v1/translate",
            json={**BODY, "text": "One. Z.", "decoding": {"strategy": "greedy"}},
        ) as answer,
    ):
        lines = answer.iter_lines()
        while (line := next(lines)) != "event: sentence":
            assert line == "" or line.startswith(("event: part", "data: "))
        assert '"text": "One."' in next(lines)
        gate.opened.set()
        assert '"text": "Z."' in "".join(lines)


def test_what_goes_wrong_later_is_an_event():
    """In the shape of all errors; what was told before stays true."""

    def fail():
        raise RuntimeError("broken")

    body = {**BODY, "text": "One. Z.", "decoding": {"strategy": "greedy"}}
    with serving(Letters("Z", fail), batch_rows=1) as url:
        events = events_in(httpx.post(f"{url}/v1/translate", json=body).text)
    names = [name for name, _ in events if name != "part"]
    assert names == ["sentence", "error"]
    assert events[-1][1]["error"]["code"] == "unavailable"


@pytest.mark.parametrize("read", [False, True])
def test_a_client_that_goes_ends_the_work(read):
    """Before the first event and after it."""
    gate = Gate()
    model = Letters("Z" if read else "O", lambda: gate(0))
    body = {**BODY, "text": "One. Z. " + "More. " * 100, "decoding": {"strategy": "greedy"}}
    with serving(model, batch_rows=1) as url:
        with httpx.Client() as client:
            patience = None if read else 0.2
            request = client.build_request(
                "POST", f"{url}/v1/translate", json=body, timeout=patience
            )
            if read:
                answer = client.send(request, stream=True)
                next(answer.iter_lines())
                answer.close()
            else:
                with pytest.raises(httpx.ReadTimeout):
                    client.send(request, stream=True)
        alone = "seq2serve_http_requests_in_flight 1.0"  # the one that reads the metrics
        wait_until(lambda: alone in httpx.get(f"{url}/metrics").text)
        gate.opened.set()
    assert len(model.rows_seen) < 100


async def test_part_events_are_told_of_greedy_search_only(client):
    """Beam search does not know what it will say."""
    body = {**BODY, "text": "One.", "decoding": {"strategy": "beam"}}
    events = events_in((await client.post("/v1/translate", json=body)).text)
    assert "part" not in [name for name, _ in events]
