"""Imported models behind a real server: every protocol knows their languages and translates by
them, also in two steps; clients are as their makers have them."""

import deepl
import httpx
import pytest
from libretranslate_aio import AsyncLibreTranslate
from libretranslatepy import LibreTranslateAPI

from service.app import create_app
from service.settings import Settings
from tests.browser.visits import ARGUMENTS, CHROMIUM
from tests.importers.tiny import lines
from tests.polling import wait_until
from tests.serving import serve

DIRECT = {
    "argos": [("en", "de")],
    "opus": [("en", "de"), ("en", "ko"), ("en", "zh")],
    "plain": [("nl", "en")],
    "raw": [("de", "fr")],
}
PIVOTED = {("nl", "de"): "en", ("nl", "ko"): "en", ("nl", "zh"): "en", ("en", "fr"): "de"}
"""Directions without a model, and the language in their middle."""
ALL = sorted({*PIVOTED, *(way for ways in DIRECT.values() for way in ways)})
TEXTS = lines(0)[:3]


@pytest.fixture(scope="module")
def url(imported, tmp_path_factory):
    """The address of a server with all of them, which has loaded them all."""
    data = tmp_path_factory.mktemp("data")
    settings = Settings(
        models=imported[0], data=data, workers=1, default_model="argos", pivot=True, trial=False
    )
    with serve(create_app(settings)) as address:
        wait_until(lambda: len(httpx.get(f"{address}/v1/models").json()["models"]) == 4, 60)
        yield address


@pytest.fixture(scope="module")
def native(url):
    """What the native API says of a list of texts, by direction."""
    found = {}
    for source, target in ALL:
        body = {"text": TEXTS, "source": source, "target": target}
        answer = httpx.post(f"{url}/v1/translate", json=body, timeout=60)
        assert answer.status_code == 200, answer.text
        found[source, target] = answer.json()["translations"]
    return found


def texts_of(translations) -> list[str]:
    """Without what was found out on the way."""
    return [each["text"] for each in translations]


def targets_of(source: str) -> list[str]:
    """The languages that one is translated into."""
    return [target for one, target in ALL if one == source]


def test_models_and_their_directions_are_listed(url):
    """Tags are directions; the web page makes its languages of this list."""
    models = httpx.get(f"{url}/v1/models").json()["models"]
    assert {
        model["name"]: [(way["source"], way["target"]) for way in model["directions"]]
        for model in models
    } == DIRECT
    assert all(model["ready"] for model in models)
    known = httpx.get(f"{url}/v1/languages").json()["languages"]
    into = {each["code"]: each["targets"] for each in known if each["targets"]}
    assert into == {source: targets_of(source) for source in ("de", "en", "nl")}


@pytest.mark.parametrize(
    ("name", "source", "target"), [(name, *way) for name, ways in DIRECT.items() for way in ways]
)
def test_a_model_translates_in_each_of_its_directions(url, name, source, target):
    """By its name, with alignment."""
    body = {
        "text": TEXTS,
        "source": source,
        "target": target,
        "model": name,
        "alignment": True,
    }
    answer = httpx.post(f"{url}/v1/translate", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"] == name
    assert len(answer.json()["translations"]) == len(TEXTS)


def test_tags_make_a_difference(native):
    """One model, the same texts, other languages."""
    korean, chinese = texts_of(native["en", "ko"]), texts_of(native["en", "zh"])
    assert korean != chinese
    assert any(korean)


def test_a_direction_without_a_model_takes_two_steps(native):
    """And says so; others do not."""
    for way, translations in native.items():
        assert {each.get("pivot") for each in translations} == {PIVOTED.get(way)}


def test_two_steps_are_each_as_by_themselves(url, native):
    """What came out of the first goes into the second."""
    body = {"text": texts_of(native["nl", "en"]), "source": "en", "target": "ko"}
    answer = httpx.post(f"{url}/v1/translate", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    assert texts_of(answer.json()["translations"]) == texts_of(native["nl", "ko"])


def test_libretranslates_client(url, native):
    """Its languages are those of all directions, and it is told the same as others."""
    client = LibreTranslateAPI(url)
    known = {each["code"]: each["targets"] for each in client.languages()}
    for source in ("de", "en", "nl"):
        assert {*targets_of(source), source} == set(known[source])
    for (source, target), translations in native.items():
        assert [client.translate(text, source, target) for text in TEXTS] == texts_of(translations)


async def test_libretranslates_asynchronous_client(url, native):
    """A list at once."""
    async with AsyncLibreTranslate(url) as client:
        for source, target in (("en", "ko"), ("nl", "ko")):
            answer = await client.translate(TEXTS, source, target)
            assert answer.translated_text == texts_of(native[source, target])


def test_deepls_client(url, native):
    """English as a target has variants here; German, Korean and Chinese have none."""
    client = deepl.DeepLClient("any-key", server_url=url, send_platform_info=False)
    sources = {language.code for language in client.get_source_languages()}
    assert sources == {"DE", "EN", "NL"}
    targets = {language.code for language in client.get_target_languages()}
    assert targets == {"DE", "EN-GB", "EN-US", "FR", "KO", "ZH"}
    for (source, target), translations in native.items():
        code = "EN-US" if target == "en" else target
        results = client.translate_text(TEXTS, source_lang=source, target_lang=code)
        assert [each.text for each in results] == texts_of(translations)
        assert {each.detected_source_lang for each in results} == {source.upper()}
    client.close()


def test_kserves_routes(url):
    """Each model is ready, by its name and by its version."""
    assert httpx.get(f"{url}/v2/health/ready").json() == {"ready": True}
    for name in DIRECT:
        told = httpx.get(f"{url}/v2/models/{name}").json()
        version = "1.9" if name == "argos" else "1"
        assert (told["name"], told["versions"]) == (name, [version])
        assert told["platform"] == "onnxruntime_onnx"
        for path in (name, f"{name}/versions/{version}"):
            assert httpx.get(f"{url}/v2/models/{path}/ready").status_code == 200


def test_the_web_page_offers_their_languages(url, native):
    """In a browser: what can be chosen, model by direction, and a translation by a chosen tag."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed: use make test-browser"
    )
    if CHROMIUM is None:
        pytest.skip("there is no chromium; Debian has one, or set CHROMIUM to its path")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = chromium.new_page()
        page.goto(url)
        page.locator("#model option").first.wait_for(state="attached")
        assert set(page.locator("#source option").all_text_contents()) == {
            "English",
            "German",
            "Dutch",
        }
        page.locator("#source").select_option("en")
        assert set(page.locator("#target option").all_text_contents()) == {
            "German",
            "Korean",
            "Chinese",
        }
        page.locator("#target").select_option("ko")
        assert page.locator("#model option").all_text_contents() == ["opus"]
        page.locator("#text").fill(TEXTS[0])
        expected = native["en", "ko"][0]["text"]
        playwright.expect(page.locator("#translation")).to_contain_text(expected, timeout=20_000)
        chromium.close()
