"""Glossary entries as DeepL's clients write them: tab- or comma-separated lines."""

import csv
import io
from typing import Literal

from service.api.faults import Refusal
from service.api.glossary_terms import sound_terms

TSV = "text/tab-separated-values"
EntriesFormat = Literal["tsv", "csv"]


def read_entries(entries: str, kind: EntriesFormat) -> dict[str, str]:
    """Source terms with their target terms. Raises Refusal that names the line at fault."""
    try:
        return sound_terms(_pairs(entries, kind))
    except (ValueError, csv.Error) as error:
        raise Refusal(400, f"Invalid glossary entries provided: {error}.") from error


def write_entries(terms: dict[str, str]) -> str:
    """As tab-separated lines."""
    return "\n".join(f"{source}\t{target}" for source, target in terms.items())


def _pairs(entries: str, kind: EntriesFormat) -> list[tuple[str, str]]:
    if kind == "csv":
        rows = [row for row in csv.reader(io.StringIO(entries, newline="")) if row]
        most = 4  # a line may end with the codes of both languages
    else:
        rows = [line.split("\t") for line in entries.splitlines() if line.strip()]
        most = 2
    for number, row in enumerate(rows, 1):
        if not 2 <= len(row) <= most:
            raise ValueError(f"entry {number} is not a source and a target")
    return [(row[0], row[1]) for row in rows]
