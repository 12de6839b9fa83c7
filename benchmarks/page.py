"""The page of figures: each benchmark owns what stands between its two markers."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path


class PageError(Exception):
    """The page has half a place for a section."""


def write_section(page: Path, name: str, lines: Iterable[str]) -> None:
    """Replaces a section, or appends one that the page does not have yet.

    Raises PageError for a page with one of the two markers, which stand on lines of their own.
    """
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    text = page.read_text("utf-8") if page.exists() else ""
    if begin not in text and end not in text:
        text += f"{begin}{end}"
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise PageError(f"{page} has no lines {begin.strip()} and {end.strip()}")
    page.parent.mkdir(parents=True, exist_ok=True)
    section = "\n".join(lines)
    page.write_text(f"{before}{begin}\n{section}\n\n{end}{after}", "utf-8")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> Iterator[str]:
    """A markdown table; the first `texts` columns hold text, the others numbers."""
    yield _row(header)
    yield "|" + "---|" * texts + "---:|" * (len(header) - texts)
    yield from map(_row, rows)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
