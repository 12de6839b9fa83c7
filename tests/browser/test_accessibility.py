"""Rules of axe-core, contrast of the map, and pictures to look at: light, dark and on a phone."""

import pytest

from tests.browser.visits import DESKTOP, PHONE, PLAIN, needs_axe, stream_of, violations

expect = pytest.importorskip(
    "playwright.sync_api", reason="Playwright is not installed: use make test-browser"
).expect

LOOKS = {
    "light": DESKTOP | {"color_scheme": "light"},
    "dark": DESKTOP | {"color_scheme": "dark"},
    "phone": PHONE,
    "phone-dark": PHONE | {"color_scheme": "dark"},
}
TEXT = "Good morning. My brother works at a small company near the river."
CONTRASTS = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const luminance = (colour) => {
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((byte) => byte / 255).map(
      (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return [...document.querySelectorAll("td.cell")].map((cell) => {
    const { color, backgroundColor } = getComputedStyle(cell);
    const [dark, light] = [color, backgroundColor].map(luminance).sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  });
}"""


@needs_axe
@pytest.mark.parametrize("look", LOOKS)
def test_no_rule_of_axe_is_broken(visit, screenshots, look):
    """Before and after a translation, with a word lit, without a map, and with an error."""
    opened = visit(**LOOKS[look])
    page = opened.page
    assert violations(page) == []
    opened.type(TEXT)
    page.get_by_role("combobox", name="Sentence", exact=True).select_option("1")
    page.locator("#source-line button").first.focus()
    page.screenshot(path=screenshots / f"{look}.png", full_page=True)
    assert violations(page) == []
    opened.choose("Model", PLAIN)
    expect(page.locator("#no-map")).to_be_visible()
    page.screenshot(path=screenshots / f"{look}-without-attention.png", full_page=True)
    assert violations(page) == []
    opened.type("a" * 1000)
    expect(page.get_by_role("alert")).not_to_have_text("")
    page.screenshot(path=screenshots / f"{look}-error.png", full_page=True)
    assert violations(page) == []
    opened.console.clear()


@pytest.mark.parametrize("look", LOOKS)
def test_nothing_is_wider_than_the_window(visit, look):
    """Only the map scrolls sideways, in its own frame."""
    opened = visit(**LOOKS[look])
    opened.type(TEXT)
    width = opened.page.evaluate("() => document.documentElement.scrollWidth")
    assert width == LOOKS[look]["viewport"]["width"]


@pytest.mark.parametrize("look", ["light", "dark"])
def test_every_weight_can_be_read(visit, screenshots, look):
    """The contrast of number and cell is at least 4.5 all along the scale."""
    opened = visit(**LOOKS[look])
    page = opened.page
    opened.page.route("**/v1/translate", lambda route: route.fulfill(**stream_of(_scale())))
    opened.type("x")
    expect(page.locator("td.cell")).to_have_count(101)
    page.screenshot(path=screenshots / f"scale-{look}.png", full_page=True)
    assert min(page.evaluate(CONTRASTS)) >= 4.5


def _scale() -> dict:
    """An answer with every weight from 0 to 100 percent."""
    nowhere = {"start": 0, "end": 0}
    pieces = [{"text": str(number), **nowhere} for number in range(101)]
    sentence = {
        "source": {"start": 0, "end": 1},
        "target": {"start": 0, "end": 1},
        "source_pieces": pieces,
        "target_pieces": pieces[:1],
        "attention": [[number / 100 for number in range(101)]],
        "words": [],
    }
    hypothesis = {"text": "y", "score": -1.0, "tokens": 1}
    alignment = {"sentences": [sentence]}
    return {"text": "y", "hypotheses": [hypothesis], "alignment": alignment}
