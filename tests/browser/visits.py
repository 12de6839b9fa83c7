"""What the browser tests share: where things are, how the browser starts, and an open page."""

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
AXE = Path(os.environ.get("AXE", ROOT / "build/axe-core/axe.min.js"))
SCREENSHOTS = ROOT / "build/screenshots"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
# Nothing but the tested page may speak to anyone.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
needs_axe = pytest.mark.skipif(
    not AXE.exists(), reason=f"there is no axe-core in {AXE}: use make test-browser"
)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
DESKTOP = {"viewport": {"width": 1100, "height": 900}}
PHONE = {"viewport": {"width": 320, "height": 700}, "has_touch": True, "is_mobile": True}
MAX_CHARACTERS = 300
PLAIN = "scripted-seq2seq"
SHIPPED = "en-ko-transformer"


def stream_of(translation: dict) -> dict:
    """What a route is fulfilled with, so that a translation is told as one sentence."""
    sentence = {"text": 0, "sentence": 0, "before": "", "translation": translation}
    events = [("sentence", sentence), ("text", {"text": 0, "after": ""}), ("done", {})]
    body = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events)
    return {"body": body, "content_type": "text/event-stream"}


@dataclass
class Visit:
    """A page that is open, and what it did beside being looked at."""

    page: object
    requests: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)

    def type(self, text: str) -> None:
        """Puts a text in the place of the old one and waits for its translation."""
        with self.page.expect_response("**/v1/translate"):
            self.page.get_by_label("Text", exact=True).fill(text)
            self.page.keyboard.press("Control+Enter")
        self.settle()

    def choose(self, label: str, value: str) -> None:
        """Chooses an option and waits for the translation that follows."""
        with self.page.expect_response("**/v1/translate"):
            self.page.get_by_role("combobox", name=label, exact=True).select_option(value)
        self.settle()

    def swap(self) -> None:
        """Swaps the languages and waits for the translation that follows."""
        with self.page.expect_response("**/v1/translate"):
            self.page.get_by_role("button", name="Swap languages").click()
        self.settle()

    def settle(self) -> None:
        """Waits until an answer that has arrived is shown."""
        self.page.locator("#translation[aria-busy=false]").wait_for()


def violations(page) -> list[str]:
    """What axe-core finds, in words."""
    options = {"runOnly": RULES, "resultTypes": ["violations"]}
    found = page.evaluate("(options) => axe.run(document, options)", options)["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found]
