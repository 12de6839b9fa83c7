"""A load for a long time: memory, files and threads at the end are those of the beginning."""

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.reliability.client import Client, questions, references
from benchmarks.reliability.report import Outcome, Report
from benchmarks.reliability.server import Sample, Server, run_server

CLIENTS = 6
TEXTS = 3
LEAVES = 0.05
"""Part of the requests that are cut off."""
GROWTH = 1.10
"""How much more memory the last quarter may take than the second."""


def run(models: Path, quick: bool) -> Report:
    """Twenty minutes, or seconds if `quick`."""
    settings = {"models": models, "sentence_cache_bytes": 1 << 20, "log_level": "warning"}
    with (
        tempfile.TemporaryDirectory() as folder,
        run_server(Path(folder), settings) as server,
    ):
        return asyncio.run(_run(server, 6.0 if quick else 1200.0, quick))


async def _run(server: Server, seconds: float, quick: bool) -> Report:
    asked = questions(20 if quick else 400, TEXTS, seed=3)
    known = await references(server.port, asked)
    began = len(server.samples)
    ends = time.perf_counter() + seconds
    outcomes: list[Outcome] = []

    async def client(number: int) -> None:
        connection, rng = Client(server.port), random.Random(number)
        while time.perf_counter() < ends:
            i = rng.randrange(len(asked))
            if rng.random() < LEAVES:
                outcomes.append(await connection.leave(asked[i], rng.random() / 20))
            else:
                outcomes.append(await connection.ask(asked[i], known[i]))
        connection.close()

    await asyncio.gather(*map(client, range(CLIENTS)))
    report = Report()
    report.say("time", f"{seconds / 60:.1f} min, {CLIENTS} clients")
    report.count(outcomes, allowed=())
    _compare(report, server.samples[began:], quick)
    return report


def _compare(report: Report, samples: Sequence[Sample], quick: bool) -> None:
    """The second quarter of the time, when everything is warm, with the last."""
    quarter = max(1, len(samples) // 4)
    warm, last = samples[quarter : 2 * quarter], samples[-quarter:]
    for name, unit, values in (
        ("memory", " MiB", lambda each: each.rss_mib),
        ("open files", "", lambda each: each.files),
        ("threads", "", lambda each: each.threads),
    ):
        before, after = (statistics.median(map(values, part)) for part in (warm, last))
        report.say(f"{name} in the second quarter, in the last", f"{before:.0f}, {after:.0f}{unit}")
        grown = after > GROWTH * before if name == "memory" else after > before + 2
        # In seconds nothing is warm yet, and nothing can be told of growth.
        report.promise(quick or not grown, f"{name} grew from {before:.0f} to {after:.0f}{unit}")
