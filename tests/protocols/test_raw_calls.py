"""What applications send, byte by byte: encodings, fields and quirks that no library hides."""

import json
from urllib.parse import quote_plus, unquote_plus

import httpx
import pytest

from service.app import Loaded, create_app
from service.settings import Settings
from tests.fakes import EchoModel, Gate, make_engine
from tests.serving import serve

EN_KO = {"source": "en", "target": "ko"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


def deepl(key: str = "key") -> dict[str, str]:
    """The header of DeepL's clients."""
    return {"authorization": f"DeepL-Auth-Key {key}"}


async def test_mastodon_through_libretranslate(client):
    """JSON with a list and a null key; each text has its language."""
    body = {"q": ["<p>Hello</p>", "Thanks"], "source": "auto", "target": "ko", "format": "html",
            "api_key": None}  # fmt: skip
    answer = (await client.post("/translate", json=body)).json()
    assert len(answer["translatedText"]) == 2
    assert [each["language"] for each in answer["detectedLanguage"]] == ["en", "en"]
    languages = (await client.get("/languages")).json()
    assert {each["code"]: set(each["targets"]) - {each["code"]} for each in languages} == {
        "en": {"ko"},
        "ko": {"en"},
    }


async def test_mastodon_through_deepl(client):
    """A form with repeated texts and HTML; the language comes back in capitals."""
    body = "text=%3Cp%3EHello%3C%2Fp%3E&text=Thanks&target_lang=ko&tag_handling=html&source_lang"
    answer = await client.post("/v2/translate", content=body, headers=FORM | deepl())
    translations = answer.json()["translations"]
    assert [t["detected_source_language"] for t in translations] == ["EN", "EN"]
    assert all(t["text"] for t in translations)
    for kind in ("source", "target"):
        languages = (await client.get(f"/v2/languages?type={kind}", headers=deepl())).json()
        assert "KO" in {each["language"] for each in languages}


async def test_weblate_through_libretranslate(client):
    """JSON with an empty key; the list has to keep its length."""
    body = {"api_key": "", "q": ["One", "Two", "Three"], "source": "en", "target": "ko"}
    answer = (await client.post("/translate", json=body)).json()
    assert answer == {"translatedText": ["One", "Two", "Three"]}


async def test_weblate_through_deepl(client):
    """XML with placeholders, plain EN, and a glossary that is deleted and made again."""
    made = await client.post(
        "/v2/glossaries",
        json={"name": "weblate:1:en:ko:0", "source_lang": "EN", "target_lang": "KO",
              "entries": "cat\tcat", "entries_format": "tsv"},
        headers=deepl(),
    )  # fmt: skip
    assert made.status_code == 201
    body = {"source_lang": "EN", "target_lang": "KO", "text": ["A cat"], "formality": "default",
            "tag_handling": "xml", "ignore_tags": ["x"], "glossary_id": made.json()["glossary_id"],
            "context": ""}  # fmt: skip
    answer = await client.post("/v2/translate", json=body, headers=deepl())
    assert answer.status_code == 200
    path = f"/v2/glossaries/{made.json()['glossary_id']}"
    assert (await client.delete(path, headers=deepl())).status_code == 204
    gone = await client.delete(path, headers=deepl())
    assert gone.status_code == 404
    assert gone.json() == {"message": "glossary: there is no such glossary"}


async def test_discourse(client):
    """Forms, one after the other: first the language, then the translation."""
    detected = await client.post("/detect", content="q=Good+morning%21", headers=FORM)
    assert detected.json()[0]["language"] == "en"
    form = {"q": "Good morning!", **EN_KO, "format": "html", "api_key": ""}
    answer = (await client.post("/translate", data=form)).json()
    assert answer == {"translatedText": "Good morning!"}


async def test_nextcloud(client):
    """The PHP library: multipart for one text, the query string to detect, GET with an empty form,
    and a list as one URL-encoded JSON text, which it decodes again."""
    one = await client.post("/translate", files={k: (None, v) for k, v in _php("Hello").items()})
    assert one.json() == {"translatedText": "Hello"}
    detected = await client.post("/detect?q=Good+morning&api_key=")
    assert detected.json()[0]["language"] == "en"
    empty = {"content-type": "multipart/form-data; boundary=------x"}
    for path in ("/languages", "/frontend/settings"):
        answer = await client.request("GET", path, content=b"--------x--\r\n", headers=empty)
        assert answer.status_code == 200
    texts = ["Hello", "Two words, & more"]
    many = _php(quote_plus(json.dumps(texts)))
    answer = await client.post("/translate", files={k: (None, v) for k, v in many.items()})
    assert json.loads(unquote_plus(answer.json()["translatedText"])) == texts


def _php(q: str) -> dict[str, str]:
    return {"q": q, "format": "html", "source": "en", "target": "ko", "api_key": ""}


async def test_subtitle_edit_through_deepl(client):
    """A form, languages in lower case."""
    body = "text=Hello&target_lang=en-us&source_lang=ko&formality=default"
    answer = await client.post("/v2/translate", content=body, headers=FORM | deepl())
    assert answer.json()["translations"][0]["text"] == "Hello"


async def test_everything_in_the_query_string(client):
    """An empty body, and the key beside the text."""
    path = "/v2/translate?auth_key=key&text=Hello&source_lang=EN&target_lang=KO"
    assert (await client.post(path)).json()["translations"][0]["text"] == "Hello"
    path = "/translate?q=Hello&source=en&target=ko&api_key=key"
    assert (await client.post(path)).json() == {"translatedText": "Hello"}


@pytest.mark.parametrize("code", ["ko", "KO", "ko-KR", "ko_KR"])
async def test_codes_may_have_a_region(client, code):
    """In both protocols."""
    body = {"q": "Hello", "source": "en-US", "target": code}
    assert (await client.post("/translate", json=body)).status_code == 200
    deep = {"text": "Hello", "source_lang": "EN-US", "target_lang": code}
    assert (await client.post("/v2/translate", json=deep)).status_code == 200


async def test_a_scalar_and_a_list_differ(client):
    """Of repeated fields of a form, none is lost."""
    body = "q=a&q=b&source=en&target=ko&alternatives=1"
    answer = (await client.post("/translate", content=body, headers=FORM)).json()
    assert answer["translatedText"] == ["a", "b"]
    assert len(answer["alternatives"]) == 2


async def test_confidence_is_a_whole_number(client):
    """Strictly typed clients fail at 95.0."""
    answer = await client.post("/detect", json={"q": "Good morning, how are you?"})
    assert isinstance(answer.json()[0]["confidence"], int)
    assert '"confidence":' in answer.text
    assert "." not in answer.text


@pytest.mark.parametrize("text", ["12", "😀", "...", " "])
async def test_what_has_no_language_has_a_default(client, text):
    """With a confidence of 0, never an empty list."""
    answer = await client.post("/detect", json={"q": text})
    assert answer.json() == [{"confidence": 0, "language": "en"}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q": None}, "Invalid request: missing q parameter"),
        ({"q": []}, "Invalid request: missing q parameter"),
        ({"q": 3}, "Invalid request: q parameter is not a text or a list of texts"),
        ({"q": "a\0"}, "Invalid request: q parameter contains the character NUL (U+0000)"),
        ({"target": "xx"}, "xx is not supported"),
        ({"source": "xx"}, "xx is not supported"),
        ({"format": "odt"}, "odt format is not supported"),
        ({"alternatives": "many"}, "Invalid request: alternatives parameter is not a number"),
        ({"alternatives": 9}, "Invalid request: alternatives parameter must be <= 3"),
        ({"alternatives": -1}, "Invalid request: alternatives parameter must be >= 0"),
        (
            {"q": ["a"] * 6},
            "Invalid request: text: 6 texts in one request; at most 5",
        ),
        ({"q": "a" * 501}, "Invalid request: request (501) exceeds text limit (500)"),
    ],
)
async def test_libretranslate_tells_faults_in_its_words(client, change, message):
    """400 with `error`, and nothing else."""
    answer = await client.post("/translate", json={"q": "Hello", **EN_KO} | change)
    assert answer.status_code == 400
    assert answer.json() == {"error": message}


@pytest.mark.parametrize("missing", ["q", "source", "target"])
async def test_libretranslate_names_what_is_missing(client, missing):
    """As the reference does."""
    body = {"q": "Hello", **EN_KO}
    del body[missing]
    answer = await client.post("/translate", json=body)
    assert answer.json() == {"error": f"Invalid request: missing {missing} parameter"}


@pytest.mark.parametrize("body", [b"[1]", b"{", b'"q"', b"\xff{"])
async def test_what_is_no_json_object_is_told(client, body):
    """In both shapes."""
    headers = {"content-type": "application/json"}
    answer = await client.post("/translate", content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (400, {"error": "Invalid JSON format"})
    answer = await client.post("/v2/translate", content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (400, {"message": "Invalid JSON format"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": None}, "Value for 'text' not supported."),
        ({"text": []}, "Value for 'text' is an empty list"),
        ({"text": "a\0"}, "Value for 'text' contains the character NUL (U+0000)"),
        ({"target_lang": "XX"}, "Value for 'target_lang' not supported."),
        ({"source_lang": "XX"}, "Value for 'source_lang' not supported."),
        ({"split_sentences": "2"}, "Value for 'split_sentences' not supported."),
        ({"formality": "more"}, "Target language 'KO' doesn't support formality."),
        (
            {"glossary_id": "x", "source_lang": None},
            "Use of a glossary requires the source_lang parameter to be specified.",
        ),
    ],
)
async def test_deepl_tells_faults_in_its_words(client, change, message):
    """400 with `message`, and nothing else."""
    body = {"text": ["Hello"], "source_lang": "EN", "target_lang": "KO"} | change
    answer = await client.post("/v2/translate", json=body)
    assert answer.status_code == 400
    assert answer.json() == {"message": message}


async def test_a_missing_parameter_is_named(client):
    """As DeepL does."""
    answer = await client.post("/v2/translate", json={"target_lang": "KO"})
    assert answer.json() == {"message": "Parameter 'text' not specified"}


async def test_each_path_has_the_shape_of_its_protocol(client):
    """Also where there is no route, or no such method, or too much of a body."""
    for path, key in (("/v2/none", "message"), ("/v3/none", "message"), ("/v2/models/x", "error")):
        answer = await client.get(path)
        assert (answer.status_code, list(answer.json())) == (404, [key])
    for path, key in (("/translate", "error"), ("/v2/translate", "message")):
        assert list((await client.get(path)).json()) == [key]
        large = await client.post(path, content=b"x" * 5000)
        assert (large.status_code, list(large.json())) == (413, [key])
    assert (await client.get("/v1/none")).json()["error"]["code"] == "not_found"


async def test_every_deepl_answer_has_a_trace_id(client):
    """By which its clients report a problem; it is the id of the request."""
    headers = {"x-request-id": "r-1"}
    for path, status in (("/v2/usage", 200), ("/v3/glossaries", 200), ("/v2/none", 404)):
        answer = await client.get(path, headers=headers)
        assert (answer.status_code, answer.headers["x-trace-id"]) == (status, "r-1")
    for path in ("/v2/models/fake", "/languages", "/v1/languages"):
        assert "x-trace-id" not in (await client.get(path)).headers


async def test_entries_come_as_tab_separated_lines_only(client):
    """Node sends `*/*`; who wants something else is told."""
    body = {"name": "n", "source_lang": "en", "target_lang": "ko", "entries": "cat,고양이",
            "entries_format": "csv"}  # fmt: skip
    made = (await client.post("/v2/glossaries", data=body)).json()
    path = f"/v2/glossaries/{made['glossary_id']}/entries"
    answer = await client.get(path, headers={"accept": "*/*"})
    assert answer.text == "cat\t고양이"
    assert answer.headers["content-type"].startswith("text/tab-separated-values")
    assert (await client.get(path, headers={"accept": "text/csv"})).status_code == 415


async def test_node_writes_nested_fields_with_dots(client):
    """A form for version 3 of the glossaries."""
    form = {
        "name": "Both",
        "dictionaries[0].source_lang": "en",
        "dictionaries[0].target_lang": "ko",
        "dictionaries[0].entries": "cat\t고양이",
        "dictionaries[0].entries_format": "tsv",
    }
    made = await client.post("/v3/glossaries", data=form)
    assert made.status_code == 201
    assert made.json()["dictionaries"] == [
        {"source_lang": "en", "target_lang": "ko", "entry_count": 1}
    ]


async def test_pages_of_other_origins_may_ask_libretranslate(client):
    """As the reference lets them; the other protocols are closed unless the operator opens them."""
    origin = {"origin": "https://example.org"}
    answer = await client.get("/languages", headers=origin)
    assert answer.headers["access-control-allow-origin"] == "*"
    preflight = origin | {"access-control-request-method": "POST",
                          "access-control-request-headers": "content-type"}  # fmt: skip
    answer = await client.options("/translate", headers=preflight)
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in (await client.get("/v2", headers=origin)).headers


async def test_kserve_health_and_metadata(client):
    """Under the prefix that DeepL has too."""
    assert (await client.get("/v2")).json()["name"] == "seq2serve"
    assert (await client.get("/v2/health/live")).json() == {"live": True}
    assert (await client.get("/v2/health/ready")).json() == {"ready": True}
    for path in ("/v2/models/fake", "/v2/models/fake/versions/1"):
        model = (await client.get(path)).json()
        assert (model["name"], model["versions"]) == ("fake", ["1"])
        assert (await client.get(f"{path}/ready")).json() == {"ready": True, "name": "fake"}
    assert (await client.get("/v2/models/fake/versions/2")).status_code == 404


def test_a_libretranslate_file_that_is_too_late_is_dropped():
    """Nobody has its address, so nobody could fetch it or end it."""
    gate = Gate()

    def load(_, metrics):
        return Loaded((make_engine(EchoModel(before_step=gate), metrics=metrics),), ())

    with serve(create_app(Settings(page=False, max_seconds=0.2), load)) as url:
        file = {"file": ("a.txt", b"Hello")}
        answer = httpx.post(f"{url}/translate_file", files=file, data=EN_KO)
        assert answer.status_code == 504
        metrics = httpx.get(f"{url}/metrics").text
        gate.opened.set()
    assert 'seq2serve_documents{state="translating"} 0.0' in metrics
