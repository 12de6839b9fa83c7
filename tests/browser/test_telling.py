"""The page while something is being translated: a text that grows, and files."""

import pytest

from service.app import Loaded, create_app
from service.settings import Settings
from tests.browser.visits import PLAIN, needs_axe, violations
from tests.fakes import FIRST, EchoModel, Gate, make_engine
from tests.serving import serve

expect = pytest.importorskip(
    "playwright.sync_api", reason="Playwright is not installed: use make test-browser"
).expect


class Held(EchoModel):
    """Waits at the gate before it begins a sentence with a Z, and once in the midst of a sentence
    with a Y."""

    def __init__(self, gate: Gate):
        super().__init__()
        self.gate = gate

    def encode(self, sources, beam_size=1):
        """Where a sentence begins."""
        if any(ord("Z") + FIRST in source for source in sources):
            self.gate(0)
        return super().encode(sources, beam_size)

    def distribution(self, source, said):
        """Where it goes on."""
        if ord("Y") + FIRST in source and len(said) == 4:
            self.gate(0)
        return super().distribution(source, said)


@pytest.fixture
def held(browser):
    """A page over a model that waits at a gate, and the gate."""
    gate = Gate()

    def load(_, metrics):
        return Loaded((make_engine(Held(gate), metrics=metrics, batch_rows=1),), ())

    with serve(create_app(Settings(), load)) as url:
        page = browser.new_page()
        page.goto(url)
        page.locator("#model option").first.wait_for(state="attached")
        page.get_by_role("combobox", name="Decoding", exact=True).select_option("greedy")
        yield page, gate
        gate.opened.set()
        page.close()


@pytest.mark.parametrize(
    ("text", "shown"), [("One here.\n\nZ is last.", "One here."), ("Y is long.", "Y is")]
)
def test_a_text_appears_while_it_is_decoded(held, text, shown):
    """Sentence by sentence, and of the next one what is said of it so far."""
    page, gate = held
    page.get_by_label("Text", exact=True).fill(text)
    output = page.locator("#translation")
    expect(output).to_contain_text(shown)
    expect(output).not_to_contain_text("l")
    expect(output).to_have_attribute("aria-busy", "true")
    gate.opened.set()
    expect(output).to_have_attribute("aria-busy", "false")
    assert output.text_content() == text


def test_a_connection_that_is_lost_is_reported(visit):
    """When the events end before the translation does."""
    opened = visit()
    event = 'event: part\ndata: {"translation": "On"}\n\n'
    opened.page.route(
        "**/v1/translate",
        lambda route: route.fulfill(body=event, content_type="text/event-stream"),
    )
    opened.page.get_by_label("Text", exact=True).fill("One.")
    expect(opened.page.get_by_role("alert")).to_have_text("The connection was lost.")


def test_an_error_in_the_midst_is_reported(visit):
    """In the words of the service."""
    opened = visit()
    event = 'event: error\ndata: {"error": {"message": "decoding failed"}}\n\n'
    opened.page.route(
        "**/v1/translate",
        lambda route: route.fulfill(body=event, content_type="text/event-stream"),
    )
    opened.page.get_by_label("Text", exact=True).fill("One.")
    expect(opened.page.get_by_role("alert")).to_have_text("decoding failed")


def test_a_file_is_followed_and_saved(held):
    """With its progress; the file that is saved is the translated one."""
    page, gate = held
    subtitles = b"1\n00:00:01,000 --> 00:00:02,000\nZ is\nhere.\n"
    page.locator("#file").set_input_files(
        {"name": "film.srt", "mimeType": "text/plain", "buffer": subtitles}
    )
    row = page.locator("#file-list li")
    expect(row).to_contain_text("film.srt")
    expect(row.get_by_role("progressbar", name="Progress of film.srt")).to_be_visible()
    expect(row.get_by_role("status")).to_have_text("0 %")
    gate.opened.set()
    expect(row.get_by_role("status")).to_have_text("translated")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download film.ko.srt").click()
    assert download.value.suggested_filename == "film.ko.srt"
    with open(download.value.path(), "rb") as saved:
        assert saved.read() == subtitles
    page.get_by_role("button", name="Remove film.srt").click()
    expect(row).to_have_count(0)


def test_a_file_that_cannot_be_read_says_why(visit):
    """In the words of the service; the others go on."""
    opened = visit()
    page = opened.page
    page.get_by_role("combobox", name="Model", exact=True).select_option(PLAIN)
    page.locator("#file").set_input_files(
        [
            {"name": "a.json", "mimeType": "application/json", "buffer": b"{"},
            {"name": "b.txt", "mimeType": "text/plain", "buffer": b"Hello there."},
        ]
    )
    rows = page.locator("#file-list li")
    expect(rows.filter(has_text="a.json").get_by_role("status")).to_contain_text("not valid JSON")
    expect(rows.filter(has_text="b.txt").get_by_role("status")).to_have_text("translated")
    assert "422" in opened.console.pop()


DROP = """(target) => {
  const data = new DataTransfer();
  data.items.add(new File(["Hello there."], "dropped.txt", { type: "text/plain" }));
  const options = { dataTransfer: data, bubbles: true, cancelable: true };
  target.dispatchEvent(new DragEvent("dragover", options));
  const over = document.getElementById("files").classList.contains("over");
  target.dispatchEvent(new DragEvent("drop", options));
  return over;
}"""


def test_a_file_can_be_dropped_anywhere(visit):
    """The page shows where it goes and does not give way to it."""
    page = visit().page
    assert page.locator("h1").evaluate(DROP)
    row = page.locator("#file-list li")
    expect(row).to_contain_text("dropped.txt")
    expect(row.get_by_role("status")).to_have_text("translated")


@needs_axe
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_rule_of_axe_is_broken_by_files(visit, screenshots, scheme):
    """One that is translated and one that cannot be."""
    opened = visit(color_scheme=scheme)
    page = opened.page
    page.locator("#file").set_input_files(
        [
            {"name": "a.json", "mimeType": "application/json", "buffer": b"{"},
            {"name": "b.txt", "mimeType": "text/plain", "buffer": b"Hello there."},
        ]
    )
    expect(page.get_by_role("button", name="Download b.ko.txt")).to_be_visible()
    page.locator("#files").scroll_into_view_if_needed()
    page.screenshot(path=screenshots / f"files-{scheme}.png", full_page=True)
    assert violations(page) == []
    opened.console.clear()
