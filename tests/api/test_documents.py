"""/v1/translate/file: a file is sent, followed, fetched and deleted."""

import asyncio
import json

import httpx
import pytest

from service.app import Loaded, create_app
from service.settings import Settings
from tests.fakes import EchoModel, Gate, make_engine
from tests.serving import serve

FILE = "/v1/translate/file"
FORM = {"source": "en", "target": "ko"}
MARKDOWN = b"# Hello\n\nSome *words* that stay.\n"


def sent(name: str = "guide.md", data: bytes = MARKDOWN) -> dict:
    """A file as httpx sends it."""
    return {"file": (name, data)}


async def done(client, place: str) -> dict:
    """The answer once it is no longer being translated."""
    while True:
        await asyncio.sleep(0.001)  # in one process, requests leave a job no time of their own
        answer = (await client.get(place)).json()
        if answer["state"] in ("done", "failed"):
            return answer


async def test_a_file_is_sent_followed_and_fetched(client):
    """The answer says where; the result has a name and a type of its own."""
    answer = await client.post(FILE, files=sent(), data=FORM)
    assert answer.status_code == 202
    place = answer.headers["Location"]
    assert place == f"{FILE}/{answer.json()['id']}"
    status = await done(client, place)
    assert (
        status.items()
        >= {
            "name": "guide.ko.md",
            "state": "done",
            "characters_done": status["characters"],
        }.items()
    )
    (warning,) = status["warnings"]  # the model only repeats
    assert warning["reason"] == "copied_source"
    result = await client.get(f"{place}/result")
    assert result.content == MARKDOWN
    assert result.headers["content-type"] == "text/markdown; charset=utf-8"
    assert result.headers["content-disposition"] == "attachment; filename*=utf-8''guide.ko.md"


async def test_a_file_can_be_waited_for(client):
    """Then it is the answer itself, whose name may be in any script."""
    answer = await client.post(FILE, files=sent("../안내 1.txt"), data=FORM | {"wait": "30"})
    assert (answer.status_code, answer.content) == (200, MARKDOWN)
    named = "attachment; filename*=utf-8''%EC%95%88%EB%82%B4%201.ko.txt"
    assert answer.headers["content-disposition"] == named


async def test_a_deleted_file_is_gone(client):
    """For all routes."""
    place = (await client.post(FILE, files=sent(), data=FORM)).headers["Location"]
    assert (await client.delete(place)).status_code == 204
    for answer in (
        await client.get(place),
        await client.get(f"{place}/result"),
        await client.delete(place),
    ):
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "not_found"


async def test_other_options_are_those_of_a_text(client):
    """As a JSON object in one field."""
    options = {"decoding": {"strategy": "greedy"}}
    form = FORM | {"options": json.dumps(options), "wait": "30"}
    assert (await client.post(FILE, files=sent(), data=form)).status_code == 200


@pytest.mark.parametrize(
    ("form", "field", "words"),
    [
        ({"target": "xx"}, "target", "unknown language 'xx'"),
        ({"options": "{"}, "options", "not valid JSON"),
        ({"options": "[" * 9999}, "options", "not valid JSON"),
        ({"options": "[]"}, "options", "must be a JSON object"),
        ({"options": '{"text": "x"}'}, "options.text", "not here"),
        ({"options": '{"beam": 1}'}, "beam", "unknown field"),
        ({"options": '{"decoding": {"beam_size": 99}}'}, "decoding.beam_size", "out of range"),
        ({"wait": "61"}, "wait", "less than or equal to 60"),
        ({"wait": "nan"}, "wait", "less than or equal to 60"),
        ({"target": ""}, "target", ""),
    ],
)
async def test_what_is_wrong_with_a_form_is_said(client, form, field, words):
    """By field, as for a text."""
    answer = await client.post(FILE, files=sent(), data=FORM | form)
    assert answer.status_code == 422
    assert field in [detail["field"] for detail in answer.json()["error"]["details"]]
    assert words in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.docx", b"x", ".docx is not supported; supported: .txt,"),
        ("a.json", b"{", "not valid JSON"),
        ("a.txt", b"\xff", "not UTF-8"),
        ("a.txt", b"x" * 3001, "3001 bytes in one file; at most 3000"),
    ],
)
async def test_what_is_wrong_with_a_file_is_said(client, name, data, words):
    """Before it becomes a job."""
    answer = await client.post(FILE, files=sent(name, data), data=FORM)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"][0]["field"] == "file"
    assert words in answer.json()["error"]["message"]


async def test_a_body_that_is_far_too_large_is_not_read(client):
    """Files have a limit of their own, which other routes do not get."""
    large = sent("a.txt", b"x" * 100_000)
    assert (await client.post(FILE, files=large, data=FORM)).status_code == 413
    assert (await client.post("/v1/translate", content=b"x" * 2500)).status_code == 413


async def test_a_form_without_file_or_target_says_so(client):
    """As every field that is missing."""
    answer = await client.post(FILE, data={"source": "en"})
    assert {d["field"]: d["message"] for d in answer.json()["error"]["details"]} == {
        "file": "is required",
        "target": "is required",
    }


def test_a_result_is_not_ready_while_the_model_works():
    """409, with the time to come back."""
    gate = Gate()
    engine = []

    def load(_, metrics):
        engine.append(make_engine(EchoModel(before_step=gate), metrics=metrics))
        return Loaded(tuple(engine), ())

    with serve(create_app(Settings(page=False), load)) as url:
        answer = httpx.post(f"{url}{FILE}", files=sent(), data=FORM)
        place = url + answer.headers["Location"]
        assert gate.reached.wait(10)
        assert httpx.get(place).json()["state"] == "translating"
        early = httpx.get(f"{place}/result")
        assert (early.status_code, early.json()["error"]["code"]) == (409, "not_ready")
        assert 'seq2serve_documents{state="translating"} 1.0' in httpx.get(f"{url}/metrics").text
        late = httpx.post(f"{url}{FILE}", files=sent(), data=FORM | {"wait": "0.01"})
        assert late.status_code == 202
        gate.opened.set()
        while httpx.get(place).json()["state"] != "done":
            pass
        assert httpx.get(f"{place}/result").content == MARKDOWN
