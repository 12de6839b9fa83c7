"""The service's figures as tables and a plot. Measures nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.load import Answer
from benchmarks.machine import heading, this_machine
from benchmarks.page import table, write_section
from benchmarks.plan import Plan
from benchmarks.plots import Panel, plot

OURS = "seq2serve"
PEERS = {"alone": "one at a time", "lock-step": "lock-step batcher"}


@dataclass(frozen=True, slots=True)
class Load:
    """What one server did under one load, all rounds together."""

    server: str
    beam_size: int
    clients: int
    sentences_per_second: float
    tokens_per_second: float
    """Target pieces."""
    p50: float
    """Milliseconds from a request's first byte to its answer's last; so are p95 and p99."""
    p95: float
    p99: float
    failures: int
    """Answers that are not 200."""


def load_of(
    server: str,
    beam_size: int,
    clients: int,
    rounds: Sequence[Sequence[Answer]],
    seconds: float,
) -> Load:
    """Throughput counts what is answered within the `seconds` of a round, latency all requests:
    those that are answered late would be missed otherwise."""
    every = [answer for answers in rounds for answer in answers]
    good = [answer for answer in every if answer.status == 200]
    timely = [answer for answer in good if answer.ended <= seconds]
    whole = seconds * len(rounds)
    latencies = [1000 * (answer.ended - answer.started) for answer in good] or [np.nan]
    p50, p95, p99 = (float(p) for p in np.percentile(latencies, (50, 95, 99)))
    return Load(
        server,
        beam_size,
        clients,
        len(timely) / whole,
        sum(answer.target_tokens for answer in timely) / whole,
        p50,
        p95,
        p99,
        len(every) - len(good),
    )


def write(loads: Sequence[Load], plan: Plan) -> None:
    """Puts tables and plot into place."""
    plot(list(panels(loads)), plan.plot("serving"))
    page = plan.output.with_name(f"{plan.output.name}.md")
    write_section(page, plan.name, lines(loads, plan))


def lines(loads: Sequence[Load], plan: Plan) -> Iterator[str]:
    """The section in markdown."""
    yield heading(this_machine(), plan.command)
    yield ""
    yield f"![throughput and latency by clients]({plan.plot('serving').name})"
    for beam_size in sorted({load.beam_size for load in loads}):
        some = [load for load in loads if load.beam_size == beam_size]
        yield from ("", f"### {_search(beam_size)}, latency in ms", "")
        yield from load_table(some)
        yield from ("", f"### {_search(beam_size)}, {OURS} compared", "")
        yield from ratio_table(some)


def load_table(loads: Sequence[Load]) -> Iterator[str]:
    """A row a server and load."""
    header = ["server", "clients", "sentences/s", "target tokens/s", "p50", "p95", "p99", "failed"]
    rows = [
        [
            load.server,
            str(load.clients),
            f"{load.sentences_per_second:,.1f}",
            f"{load.tokens_per_second:,.0f}",
            *(f"{value:,.0f}" for value in (load.p50, load.p95, load.p99)),
            str(load.failures),
        ]
        for load in sorted(loads, key=lambda load: load.clients)
    ]
    yield from table(header, rows)


def ratio_table(loads: Sequence[Load]) -> Iterator[str]:
    """Our throughput to each peer's (higher is better), and our p99 to theirs (lower is)."""
    by = {(load.server, load.clients): load for load in loads}
    header = ["clients"]
    for peer in PEERS.values():
        header += [f"throughput to {peer}", f"p99 to {peer}"]
    rows = []
    for clients in sorted({load.clients for load in loads}):
        row, ours = [str(clients)], by[OURS, clients]
        for peer in PEERS.values():
            theirs = by[peer, clients]
            row.append(f"{_ratio(ours.sentences_per_second, theirs.sentences_per_second):.2f}")
            row.append(f"{_ratio(ours.p99, theirs.p99):.2f}")
        rows.append(row)
    yield from table(header, rows, texts=0)


def panels(loads: Sequence[Load]) -> Iterator[Panel]:
    """Throughput and p99 against clients, for each search."""
    for beam_size in sorted({load.beam_size for load in loads}):
        some = [load for load in loads if load.beam_size == beam_size]
        throughput = {
            server: [(load.clients, load.sentences_per_second) for load in _of(some, server)]
            for server in (OURS, *PEERS.values())
        }
        p99 = {
            server: [(load.clients, load.p99) for load in _of(some, server)]
            for server in (OURS, *PEERS.values())
        }
        search = _search(beam_size)
        yield Panel(search, "clients", "sentences/s", throughput, ("log", "linear"))
        yield Panel(search, "clients", "p99 latency, ms", p99, ("log", "log"))


def _of(loads: Sequence[Load], server: str) -> list[Load]:
    return sorted((x for x in loads if x.server == server), key=lambda load: load.clients)


def _search(beam_size: int) -> str:
    return "Greedy" if beam_size == 1 else f"Beam {beam_size}"


def _ratio(ours: float, theirs: float) -> float:
    return ours / theirs if theirs else float("nan")
