"""What a fleet needs for so many sentences a second, from the figures in docs/benchmarks.md:

python -m benchmarks.fleet 10000
"""

import csv
import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path

REPORT = Path(__file__).parent.parent / "docs/benchmarks.md"
SENTENCES = Path(__file__).parent / "sentences.tsv"
CLIENTS = 32
"""Of the rows that are used: enough to keep the cores busy, few enough for short answers."""
USE = 0.7
"""Share of the cores that is used; the rest is for bursts and for pods that roll."""
HEAD = (
    "search",
    "sentences/s a core",
    "cores",
    "pods",
    "memory, GiB",
    "core-seconds a million characters",
)
POD_CORES, POD_MEMORY = 2, 768
"""As the manifests request them; MiB."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """What one way of decoding needs."""

    search: str
    a_core: float
    """Sentences a second."""
    cores: int
    pods: int
    memory: float
    """GiB."""
    core_seconds: float
    """For a million characters of source text."""


def measured(report: str) -> dict[str, float]:
    """Sentences a second and core of the service, by search."""
    serving = report[report.index("<!-- serving: begin -->") :]
    found = re.search(r"(\d+) cores", serving)
    assert found is not None, "the report names its cores"
    cores = int(found[1])
    rates = {}
    for search in ("Greedy", "Beam 4"):
        table = serving[serving.index(f"### {search}, latency") :]
        row = re.search(rf"\| seq2serve \| {CLIENTS} \| ([\d.,]+) \|", table)
        assert row is not None, f"the report has {CLIENTS} clients"
        rates[search.lower()] = float(row[1].replace(",", "")) / cores
    return rates


def plan(sentences: float, rates: dict[str, float], characters: float) -> list[Fleet]:
    """For sentences of so many characters."""
    fleets = []
    for search, a_core in rates.items():
        cores = math.ceil(sentences / (a_core * USE))
        pods = math.ceil(cores / POD_CORES)
        seconds = 1e6 / characters / (a_core * USE)
        fleets.append(Fleet(search, a_core, cores, pods, pods * POD_MEMORY / 1024, seconds))
    return fleets


def mean_characters() -> float:
    """Of the benchmark's sentences, in both directions."""
    with SENTENCES.open(encoding="utf-8", newline="") as file:
        texts = [text for row in csv.reader(file, delimiter="\t") for text in row]
    return sum(map(len, texts)) / len(texts)


def main() -> None:
    """Prints a table."""
    sentences = float(sys.argv[1])
    print(f"| {' | '.join(HEAD)} |")
    print("|---|---:|---:|---:|---:|---:|")
    for fleet in plan(sentences, measured(REPORT.read_text("utf-8")), mean_characters()):
        print(
            f"| {fleet.search} | {fleet.a_core:.0f} | {fleet.cores} | {fleet.pods} "
            f"| {fleet.memory:.0f} | {fleet.core_seconds:.0f} |"
        )


if __name__ == "__main__":
    main()
