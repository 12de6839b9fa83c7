"""How costs grow with sentences, batches, texts and beams, and whether memory stays level."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TypeVar

from tqdm import tqdm

from benchmarks import costs
from benchmarks.costs import Point, Resident
from benchmarks.machine import heading, this_machine
from benchmarks.page import table, write_section
from benchmarks.plan import Plan
from benchmarks.plots import Panel, Scale, plot

BEAMED = 32
"""Sentences of the batch that is decoded with wider and wider beams."""
LOOKS = 5
"""Looks at the memory of a soak that are taken together."""
SOAKED = 2500
"""Sentences of a soak between two movements of the progress bar."""
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Scope:
    """How much is measured."""

    source_lengths: tuple[int, ...]
    batches: tuple[int, ...]
    beams: tuple[int, ...]
    text_lengths: tuple[int, ...]
    """In sentences."""
    rounds: int
    soaks: tuple[int, int]
    """Sentences after which the memory is compared."""

    @classmethod
    def of(cls, quick: bool) -> "Scope":
        """A quick run ends each scale early."""
        if quick:
            return cls((8, 32, 64), (1, 8, 32), (1, 4), (1, 10, 100), 1, (1000, 3000))
        return cls(
            (4, 8, 16, 32, 48, 64),
            (1, 2, 4, 8, 16, 32, 64, 128),
            (1, 2, 4, 6, 8),
            (1, 10, 100, 500, 1000, 2000),
            5,
            (5_000, 50_000),
        )


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found; every `Point` is the cost of so many of what its name says."""

    empty_mib: float
    """A process with the libraries, before the engine is opened."""
    opened_mib: float
    source_lengths: list[Point]
    greedy_batches: list[Point]
    beam_batches: list[Point]
    beams: list[Point]
    text_lengths: list[Point]
    soak: list[Resident]
    soaks: tuple[int, int]

    def settled(self, sentences: int) -> float:
        """MiB after so many sentences of the soak, the median of the last looks: each alone
        depends on what was running."""
        until = [each.mib for each in self.soak if each.sentences <= sentences]
        return statistics.median(until[-LOOKS:])


def run(plan: Plan) -> None:
    """Measures everything and writes the page."""
    report = measure(plan, Scope.of(plan.quick))
    plot(list(panels(report)), plan.plot("scaling"))
    page = plan.output.with_name(f"{plan.output.name}.md")
    write_section(page, plan.name, lines(report, plan))


def measure(plan: Plan, scope: Scope) -> Report:
    """Costs in one process, the soak in another, so that neither sees the other's memory."""
    bundle, rounds = plan.bundle, scope.rounds
    with own_process() as process, tqdm(total=6, desc="scaling", unit="table") as bar:

        def call(function: Callable[..., Found], *arguments: object) -> Found:
            found = process.submit(function, bundle, *arguments).result()
            bar.update()
            return found

        empty, opened = call(costs.memory)
        source_lengths = call(costs.by_source_length, scope.source_lengths, rounds)
        greedy = call(costs.by_batch, scope.batches, 1, rounds)
        beam = call(costs.by_batch, scope.batches, 4, rounds)
        beams = call(costs.by_beam, scope.beams, BEAMED, rounds)
        text_lengths = call(costs.by_text_length, scope.text_lengths, min(rounds, 2))
    scales = source_lengths, greedy, beam, beams, text_lengths
    return Report(empty, opened, *scales, soak(plan, scope.soaks[1]), scope.soaks)


def soak(plan: Plan, sentences: int) -> list[Resident]:
    """Piece by piece in one process, so that progress is seen."""
    found: list[Resident] = []
    with own_process() as process, tqdm(total=sentences, desc="soak", unit="sentence") as bar:
        for seed, start in enumerate(range(0, sentences, SOAKED)):
            count = min(SOAKED, sentences - start)
            looks = process.submit(costs.soak, plan.bundle, count, seed).result()
            found += [Resident(start + each.sentences, each.mib) for each in looks]
            bar.update(count)
    return found


@contextmanager
def own_process() -> Iterator[ProcessPoolExecutor]:
    """A fresh process, which imports only what it runs."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        yield pool


def lines(report: Report, plan: Plan) -> Iterator[str]:
    """The section in markdown."""
    early, late = map(report.settled, report.soaks)
    peak = report.text_lengths[-1].peak_mib
    yield heading(this_machine(), plan.command)
    yield ""
    yield (
        f"Memory: {report.empty_mib:.0f} MiB before the engine is opened, "
        f"{report.opened_mib:.0f} MiB after, {peak:.0f} MiB at the peak of all these tables."
    )
    yield ""
    yield (
        f"Soak: {early:.0f} MiB after {report.soaks[0]:,} mixed sentences, {late:.0f} MiB after "
        f"{report.soaks[1]:,}, a ratio of {late / early:.3f}."
    )
    yield ""
    yield f"![costs]({plan.plot('scaling').name})"
    alone = "One sentence alone, beam 4"
    yield from scale(alone, "source pieces", report.source_lengths, "a piece")
    yield from scale("Sentences at once, greedy", "sentences", report.greedy_batches, "a sentence")
    yield from scale("Sentences at once, beam 4", "sentences", report.beam_batches, "a sentence")
    yield from scale(f"{BEAMED} sentences at once", "beam size", report.beams, "a beam")
    yield from scale(
        "One text through the pipeline, greedy", "sentences", report.text_lengths, "a sentence"
    )


def scale(title: str, amount: str, points: Sequence[Point], each: str) -> Iterator[str]:
    """A table of one scale, with its heading."""
    yield from ("", f"### {title}", "")
    rows = [
        [
            f"{point.amount:,}",
            f"{point.milliseconds:,.1f}",
            f"{point.milliseconds / point.amount:,.2f}",
            f"{point.peak_mib:,.0f}",
        ]
        for point in points
    ]
    yield from table([amount, "ms", f"ms {each}", "peak MiB so far"], rows, texts=0)


def panels(report: Report) -> Iterator[Panel]:
    """Five diagrams: costs in milliseconds, and memory."""
    logs: tuple[Scale, Scale] = ("log", "log")
    lengths = {"beam 4": curve(report.source_lengths)}
    yield Panel("one sentence, beam 4", "source pieces", "ms", lengths)
    batches = {"greedy": curve(report.greedy_batches), "beam 4": curve(report.beam_batches)}
    yield Panel("sentences at once", "sentences", "ms", batches, logs)
    beams = {"": curve(report.beams)}
    yield Panel(f"{BEAMED} sentences at once", "beam size", "ms", beams)
    texts = {"greedy": curve(report.text_lengths)}
    yield Panel("one text, greedy", "sentences", "ms", texts, logs)
    soaked = {"": [(each.sentences, each.mib) for each in report.soak]}
    yield Panel("soak", "sentences", "resident MiB", soaked)


def curve(points: Sequence[Point]) -> list[tuple[float, float]]:
    """Points of a diagram."""
    return [(point.amount, point.milliseconds) for point in points]
