"""Ten times as many requests as the server can answer, for minutes.

What is accepted must be answered, correctly and within a time that the length of the queue
explains; the rest is turned away at once; memory stays.
"""

import asyncio
import random
import tempfile
import time
from pathlib import Path

from benchmarks.reliability.client import Client, Question, questions, references
from benchmarks.reliability.report import Outcome, Report, percentile
from benchmarks.reliability.server import Server, run_server

TIMES = 10
WAITING_TOKENS = 4000
"""A short queue: at a few thousand tokens a second nobody waits long."""
TEXTS = 8
"""Of a request, on average."""
P99_FACTOR = 4.0
"""The p99 may be so many times what a full queue takes at the measured speed."""
CLIENTS = 8
"""For the measurement of capacity."""


def run(models: Path, quick: bool) -> Report:
    """The whole run; minutes, or seconds if `quick`."""
    settings = {
        "models": models,
        "sentence_cache_bytes": 0,
        "waiting_tokens": WAITING_TOKENS,
        "log_level": "warning",
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        run_server(Path(folder), settings) as server,
    ):
        return asyncio.run(_run(server, quick))


async def _run(server: Server, quick: bool) -> Report:
    asked = questions(20 if quick else 100, TEXTS)
    known = await references(server.port, asked)
    calm = max(each.rss_mib for each in server.samples)
    capacity = await _capacity(server, asked, known, 2 if quick else 20)
    seconds = 4.0 if quick else 120.0
    outcomes = await _flood(server, asked, known, capacity * TIMES, seconds)
    report = Report()
    report.say("capacity", f"{capacity:.1f} requests/s of about {TEXTS} sentences")
    report.say("offered", f"{len(outcomes) / seconds:.1f} requests/s for {seconds:.0f} s")
    report.count(outcomes, allowed=())
    answered = [o.seconds for o in outcomes if o.status == 200]
    rejected = [o.seconds for o in outcomes if o.status == 429]
    bound = P99_FACTOR * _full_queue_seconds(capacity)
    report.say("p99 of the rejections", f"{percentile(rejected, 0.99):.2f} s")
    report.say("p99 may be", f"{bound:.1f} s")
    report.promise(bool(rejected), "nothing was turned away: that was no overload")
    late = percentile(answered, 0.99) > bound
    report.promise(quick or not late, "the p99 of the accepted has no bound")  # not in seconds
    report.say("answered a second under overload", f"{len(answered) / seconds:.1f}")
    peak = max(each.rss_mib for each in server.samples)
    report.say("memory before, at most", f"{calm:.0f} MiB, {peak:.0f} MiB")
    report.promise(peak < 2 * calm + 300, "memory has grown without bound")
    return report


def _full_queue_seconds(capacity: float) -> float:
    """A full queue at the measured speed: about 16 tokens a sentence."""
    return WAITING_TOKENS / max(1.0, capacity * TEXTS * 16) + TEXTS / max(1.0, capacity)


async def _capacity(
    server: Server, asked: list[Question], known: list[list[str]], seconds: float
) -> float:
    """Answers a second to clients that wait for each."""
    ends = time.perf_counter() + seconds
    answered = 0

    async def client(number: int) -> None:
        nonlocal answered
        connection, rng = Client(server.port), random.Random(number)
        while time.perf_counter() < ends:
            i = rng.randrange(len(asked))
            outcome = await connection.ask(asked[i], known[i])
            answered += outcome.status == 200
        connection.close()

    await asyncio.gather(*map(client, range(CLIENTS)))
    return answered / seconds


async def _flood(
    server: Server, asked: list[Question], known: list[list[str]], rate: float, seconds: float
) -> list[Outcome]:
    """Requests at a rate that does not care for the answers."""
    rng = random.Random(7)
    idle: list[Client] = []
    outcomes: list[Outcome] = []

    async def one() -> None:
        client = idle.pop() if idle else Client(server.port)
        i = rng.randrange(len(asked))
        outcomes.append(await client.ask(asked[i], known[i]))
        idle.append(client)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        sent = 0
        while (now := time.perf_counter() - started) < seconds:
            for _ in range(int(now * rate) - sent):
                group.create_task(one())
                sent += 1
            await asyncio.sleep(0.01)
    for client in idle:
        client.close()
    return outcomes
