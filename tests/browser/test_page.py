"""What a person does with the page, and what they see."""

import json
import re

import httpx
import pytest

from tests.browser.visits import MAX_CHARACTERS, PLAIN, SHIPPED, stream_of

expect = pytest.importorskip(
    "playwright.sync_api", reason="Playwright is not installed: use make test-browser"
).expect

HANGUL = re.compile("[가-힣]")
LATIN = re.compile("[A-Za-z]")
ENGLISH = "Good morning. She has three cats."
ALIGNED_TEXT = "👨‍👩‍👧 I like coffee."
ALIGNED = {
    "source": {"start": 0, "end": 20},
    "target": {"start": 0, "end": 10},
    "source_pieces": [
        {"text": "<2ko>", "start": 0, "end": 0},
        {"text": "▁I", "start": 6, "end": 7},
        {"text": "▁coffee", "start": 13, "end": 19},
    ],
    "target_pieces": [
        {"text": "▁나는", "start": 0, "end": 2},
        {"text": "▁커피", "start": 3, "end": 5},
        {"text": "를", "start": 5, "end": 6},
    ],
    "attention": [[0.1, 0.3, 0.6], [0.05, 0.05, 0.9], [0.25, 0.25, 0.5]],
    "words": [
        {"source": {"start": 6, "end": 7}, "target": {"start": 0, "end": 2}},
        {"source": {"start": 13, "end": 19}, "target": {"start": 0, "end": 2}},
        {"source": {"start": 13, "end": 19}, "target": {"start": 3, "end": 6}},
    ],
}
"""As of a model whose answer is known; offsets are those of Python, in code points."""


def answer_with(page, sentence: dict) -> None:
    """Every translation has this alignment."""
    hypothesis = {"text": "나는 커피를 마셔.", "score": -1.0, "tokens": 3}
    translation = {**hypothesis, "hypotheses": [hypothesis], "alignment": {"sentences": [sentence]}}
    page.route("**/v1/translate", lambda route: route.fulfill(**stream_of(translation)))


def lit(page, selector: str) -> list[str]:
    """The text of everything that is highlighted, as it is seen."""
    texts = page.locator(f"{selector}.lit").all_text_contents()
    return [text.split(" (")[0] for text in texts]


def word(page, side: str, text: str):
    """A word of one of the two lines."""
    return page.locator(f"#{side}-line button", has_text=re.compile(f"^{text}"))


def test_a_text_is_translated_while_it_is_typed(page):
    """A pause is enough; the answer says how good it is and how long it took."""
    page.get_by_label("Text", exact=True).press_sequentially("Good morning.", delay=10)
    expect(page.locator("#translation")).to_have_text(HANGUL)
    expect(page.locator("#translation")).to_have_attribute("lang", "ko")
    expect(page.get_by_role("status").last).to_have_text(
        re.compile(r"Score −[\d.]+, \d+ pieces, [\d.]+ s")
    )


def test_swapping_translates_back(visit):
    """The languages change places and the translation becomes the text."""
    opened = visit()
    page = opened.page
    opened.type(ENGLISH)
    korean = page.locator("#translation").inner_text()
    opened.swap()
    expect(page.get_by_role("combobox", name="From", exact=True)).to_have_value("ko")
    expect(page.get_by_role("combobox", name="To", exact=True)).to_have_value("en")
    expect(page.get_by_label("Text", exact=True)).to_have_value(korean)
    expect(page.locator("#translation")).to_have_text(LATIN)
    assert not HANGUL.search(page.locator("#translation").inner_text())


def test_a_language_can_be_chosen(visit):
    """The other language follows, as there are only two."""
    opened = visit()
    opened.page.get_by_role("combobox", name="From", exact=True).select_option("ko")
    expect(opened.page.get_by_role("combobox", name="To", exact=True)).to_have_value("en")
    opened.type("저는 학생이에요.")
    expect(opened.page.locator("#translation")).to_have_text(LATIN)


def test_alternatives_come_with_scores(visit):
    """As many as were chosen; greedy search has none, and no beam to choose."""
    opened = visit()
    page = opened.page
    opened.type(ENGLISH)
    expect(page.locator("#other-list li")).to_have_count(2)
    opened.choose("Alternatives", "3")
    expect(page.locator("#other-list li")).to_have_count(3)
    expect(page.locator("#other-list li").first).to_have_text(re.compile(r"score −[\d.]+"))
    opened.choose("Beam size", "2")
    expect(page.locator("#other-list li")).to_have_count(1)
    opened.choose("Decoding", "greedy")
    expect(page.locator("#others")).to_be_hidden()
    expect(page.get_by_role("combobox", name="Beam size", exact=True)).to_be_hidden()


def test_the_heat_map_can_be_read(visit):
    """Pieces are headers, weights are text, and each row adds up to about a hundred."""
    opened = visit()
    page = opened.page
    opened.type("Good morning.")
    expect(page.get_by_role("columnheader", name="morning")).to_be_visible()
    expect(page.get_by_role("rowheader", name=HANGUL).first).to_be_visible()
    for row in page.locator("#heat tbody tr").all():
        weights = [int(cell) for cell in row.locator("td").all_text_contents()]
        assert abs(sum(weights) - 100) <= len(weights) / 2
    strongest = page.locator("#heat td.cell.strong").first
    assert re.fullmatch(r".+ looks at .+: \d+ %", strongest.get_attribute("title"))


def test_sentences_are_shown_one_at_a_time(visit):
    """The chooser names them; there is none for a single sentence."""
    opened = visit()
    page = opened.page
    opened.type(ENGLISH)
    expect(page.locator("#source-line")).to_contain_text("morning")
    page.get_by_role("combobox", name="Sentence", exact=True).select_option(
        label="2: She has three cats."
    )
    expect(page.locator("#source-line")).to_contain_text("cats")
    expect(page.locator("#source-line")).not_to_contain_text("morning")
    opened.type("Good morning.")
    expect(page.get_by_role("combobox", name="Sentence", exact=True)).to_be_hidden()


def test_pointing_at_a_word_lights_its_partners(visit):
    """In both lines and in the headers of the map, and only while the pointer is there."""
    opened = visit()
    page = opened.page
    answer_with(page, ALIGNED)
    opened.type(ALIGNED_TEXT)
    word(page, "source", "coffee").hover()
    assert lit(page, "#source-line button") == ["coffee"]
    assert lit(page, "#target-line button") == ["나는", "커피를"]
    assert lit(page, "#heat thead th") == ["coffee"]
    assert lit(page, "#heat tbody th") == ["나는", "커피", "를"]
    assert lit(page, "#heat td") == ["60", "90", "50"]
    page.locator("h1").hover()
    expect(page.locator(".lit")).to_have_count(0)
    word(page, "target", "나는").hover()
    assert lit(page, "#source-line button") == ["I", "coffee"]


def test_pointing_at_a_cell_lights_its_words(visit):
    """The map answers to the pointer too; a control symbol is no word."""
    opened = visit()
    page = opened.page
    answer_with(page, ALIGNED)
    opened.type(ALIGNED_TEXT)
    page.get_by_title("커피 looks at coffee: 90 %").hover()
    assert lit(page, "#source-line button") == ["coffee"]
    assert lit(page, "#target-line button") == ["커피를"]
    page.get_by_title("커피 looks at <2ko>: 5 %").hover()
    assert lit(page, "#source-line button") == []


def test_words_say_what_they_are_aligned_with(visit):
    """For those who see no colours; spans count code points, so emoji move no word."""
    opened = visit()
    answer_with(opened.page, ALIGNED)
    opened.type(ALIGNED_TEXT)
    words = opened.page.locator("#source-line button").all_text_contents()
    assert words == ["I (나는)", "coffee (나는, 커피를)"]
    expect(opened.page.locator("#source-line")).to_contain_text("👨‍👩‍👧 I")
    expect(opened.page.locator("#source-line")).to_have_attribute("lang", "en")
    expect(opened.page.get_by_role("button", name="커피를 (coffee)")).to_be_visible()


def test_the_shipped_model_lights_what_it_says(visit):
    """Every word of a real answer, in its own place."""
    opened = visit()
    page = opened.page
    page.get_by_label("Text", exact=True).fill("😀 She has three cats.")
    with page.expect_response("**/v1/translate") as response:
        page.keyboard.press("Control+Enter")
    sent = response.value.request.post_data_json["text"]
    # Without a stream the same request has the same answer.
    request = response.value.request.post_data_json | {"stream": False}
    (answer,) = httpx.post(response.value.url, json=request).json()["translations"]
    expect(page.locator("#map")).to_be_visible()
    (sentence,) = answer["alignment"]["sentences"]
    assert sentence["words"]
    for link in sentence["words"]:
        read, said = (
            text[link[side]["start"] : link[side]["end"]]
            for side, text in (("source", sent), ("target", answer["text"]))
        )
        word(page, "source", re.escape(read)).first.hover()
        assert read in lit(page, "#source-line button")
        assert said in lit(page, "#target-line button")


def test_a_model_without_attention_says_why(visit):
    """There is no map to show, and the request does not ask for one."""
    opened = visit()
    page = opened.page
    opened.type(ENGLISH)
    expect(page.locator("#map")).to_be_visible()
    with page.expect_request("**/v1/translate") as request:
        page.get_by_role("combobox", name="Model", exact=True).select_option(PLAIN)
    assert "alignment" not in request.value.post_data_json
    expect(page.locator("#translation")).to_have_text(ENGLISH)
    expect(page.locator("#no-map")).to_contain_text("a single context vector")
    expect(page.locator("#map")).to_be_hidden()
    opened.choose("Model", SHIPPED)
    expect(page.locator("#map")).to_be_visible()


def test_every_model_answers_in_every_direction(visit):
    """Those that the list offers for the direction."""
    opened = visit()
    page = opened.page
    opened.type("Good morning.")
    for _ in range(2):
        for model in page.locator("#model option").all():
            if (
                model.get_attribute("value")
                != page.get_by_role("combobox", name="Model", exact=True).input_value()
            ):
                opened.choose("Model", model.get_attribute("value"))
            expect(page.get_by_role("alert")).to_have_text("")
            expect(page.locator("#translation")).not_to_have_text("")
        opened.swap()


def test_errors_are_said_in_the_words_of_the_api(visit):
    """And are gone with the next translation."""
    opened = visit()
    page = opened.page
    opened.type("a " * MAX_CHARACTERS)
    expect(page.get_by_role("alert")).to_contain_text(
        f"{2 * MAX_CHARACTERS} characters in one request; at most {MAX_CHARACTERS}"
    )
    expect(page.locator("#translation")).to_have_text("")
    expect(page.locator("#attention")).to_be_hidden()
    opened.type("Good morning.")
    expect(page.get_by_role("alert")).to_have_text("")
    expect(page.locator("#translation")).to_have_text(HANGUL)
    assert len(opened.console) == 1
    assert "422" in opened.console.pop()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"status": 502, "body": "<h1>Bad gateway</h1>"}, "The service answered with status 502."),
        (
            {"status": 429, "json": {"error": {"code": "overloaded", "message": "too busy"}}},
            "too busy",
        ),
        (None, "The service cannot be reached."),
    ],
)
def test_a_service_in_trouble_is_reported(visit, answer, words):
    """Whatever stands between, and when nobody answers; the button tries again."""
    opened = visit()
    page = opened.page

    def fail(route):
        route.fulfill(**answer) if answer else route.abort()

    page.route("**/v1/translate", fail)
    page.get_by_label("Text", exact=True).fill("Good morning.")
    expect(page.get_by_role("alert")).to_have_text(words)
    page.unroute("**/v1/translate")
    page.get_by_role("button", name="Translate").click()
    expect(page.locator("#translation")).to_have_text(HANGUL)
    assert len(opened.console) == 1
    assert "Failed to load resource" in opened.console.pop()


def test_the_page_waits_for_the_models(visit):
    """It says what the service says, and asks again."""
    asked = []

    def loading_at_first(route):
        asked.append(route)
        if len(asked) > 1:
            return route.continue_()
        message = {"error": {"message": "models are being loaded"}}
        return route.fulfill(status=503, json=message)

    opened = visit(lambda page: page.route("**/v1/models", loading_at_first))
    expect(opened.page.get_by_role("alert")).to_have_text("")
    assert len(asked) == 2
    assert "503" in opened.console.pop()


def test_a_new_text_cancels_the_request_in_flight(visit):
    """The answer to the old text is not waited for and never shown."""
    opened = visit()
    page = opened.page
    held = []

    def hold_the_first(route):
        held.append(route)
        if len(held) > 1:
            route.continue_()

    page.route("**/v1/translate", hold_the_first)
    with page.expect_event("requestfailed") as cancelled:
        page.get_by_label("Text", exact=True).fill("Good morning.")
        expect(page.locator("#translation")).to_have_attribute("aria-busy", "true")
        page.get_by_label("Text", exact=True).fill("She has three cats.")
    assert json.loads(cancelled.value.post_data)["text"] == "Good morning."
    expect(page.locator("#source-line")).to_contain_text("cats")
    expect(page.locator("#translation")).to_have_attribute("aria-busy", "false")


def test_an_empty_text_clears_the_page(visit):
    """Without asking the service, which would refuse it."""
    opened = visit()
    opened.type("Good morning.")
    expect(opened.page.locator("#map")).to_be_visible()
    before = len(opened.requests)
    opened.page.get_by_label("Text", exact=True).fill(" ")
    expect(opened.page.locator("#translation")).to_have_text("")
    expect(opened.page.locator("#attention")).to_be_hidden()
    assert len(opened.requests) == before


def test_markup_is_shown_and_not_obeyed(visit):
    """A text with tags comes back as the same characters."""
    opened = visit()
    hostile = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    opened.page.get_by_role("combobox", name="Model", exact=True).select_option(PLAIN)
    opened.type(hostile)
    expect(opened.page.locator("#translation")).to_have_text(hostile)
    assert opened.page.locator("#translation *").count() == 0


def test_the_keyboard_is_enough(page):
    """From the first control to the alignment of a word."""
    keys = page.keyboard

    def tab_to(identity: str) -> None:
        for _ in range(20):
            keys.press("Tab")
            if (
                page.evaluate("() => document.activeElement.id || document.activeElement.className")
                == identity
            ):
                return
        pytest.fail(f"Tab does not reach {identity}")

    tab_to("strategy")
    keys.type("Gr")
    tab_to("text")
    keys.type("She has three cats.")
    with page.expect_response("**/v1/translate") as response:
        keys.press("Control+Enter")
    assert response.value.request.post_data_json["decoding"] == {"strategy": "greedy"}
    expect(page.locator("#map")).to_be_visible()
    for _ in range(2):  # the button of the form, then the words of the text as one stop
        keys.press("Tab")
    first = page.locator("#source-line button").first
    expect(first).to_be_focused()
    assert lit(page, "#source-line button")
    keys.press("End")
    last = page.locator("#source-line button").last
    expect(last).to_be_focused()
    assert lit(page, "#source-line button")[-1] == last.text_content().split(" (")[0]
    keys.press("ArrowLeft")
    expect(last).not_to_be_focused()
    keys.press("Home")
    expect(first).to_be_focused()
    keys.press("Tab")
    expect(page.locator("#target-line button").first).to_be_focused()
    assert lit(page, "#source-line button")
    tab_to("scroll")
    expect(page.locator(".lit")).to_have_count(0)
