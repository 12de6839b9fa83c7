"""The engine's figures as tables and a plot. Measures nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import geometric_mean

from benchmarks.machine import heading, this_machine
from benchmarks.page import table, write_section
from benchmarks.plan import Plan
from benchmarks.plots import Panel, plot


@dataclass(frozen=True, slots=True)
class Cell:
    """Tokens a second of each engine, by name, on one kind of work."""

    model: str
    beam_size: int
    batch: int
    """Sentences, for each thread."""
    speeds: dict[str, float]

    @property
    def search(self) -> str:
        """The search in words."""
        return "greedy" if self.beam_size == 1 else f"beam {self.beam_size}"

    def theirs(self, kind: str) -> float | None:
        """CTranslate2's speed, the better way to use threads if there were two."""
        found = [v for name, v in self.speeds.items() if name.startswith(f"CTranslate2 {kind}")]
        return max(found, default=None)

    def ratio(self, kind: str) -> float | None:
        """Ours to theirs."""
        theirs = self.theirs(kind)
        return self.speeds[kind] / theirs if theirs else None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Greedy sentences of both engines, compared."""

    model: str
    sentences: int
    same: int
    """Sentences alike from end to end."""
    tokens: int
    same_tokens: int
    """Tokens before the first difference."""


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found."""

    models: dict[str, str]
    """Descriptions by name."""
    cores: int
    isas: tuple[str, ...]
    isa: str
    """The one that all tables but the first show."""
    instruction_sets: list[Cell]
    one_thread: list[Cell]
    all_cores: list[Cell]
    natural: list[Cell]
    pytorch: list[Cell]
    shares: list[Cell]
    agreements: list[Agreement]


def agreement(model: str, pairs: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> Agreement:
    """Compares (ours, theirs)."""
    same_tokens = 0
    for ours, theirs in pairs:
        for a, b in zip(ours, theirs, strict=False):
            if a != b:
                break
            same_tokens += 1
    return Agreement(
        model,
        len(pairs),
        sum(ours == theirs for ours, theirs in pairs),
        sum(len(theirs) for _, theirs in pairs),
        same_tokens,
    )


def overall(cells: Sequence[Cell], name: str) -> float:
    """Geometric mean of the int8 speeds under an instruction set."""
    return geometric_mean(cell.speeds[f"{name} int8"] for cell in cells)


def write(report: Report, plan: Plan) -> None:
    """Puts tables and plot into place."""
    plot(list(panels(report)), plan.plot("engine"))
    page = plan.output.with_name(f"{plan.output.name}.md")
    write_section(page, plan.name, lines(report, plan))


def lines(report: Report, plan: Plan) -> Iterator[str]:
    """The section in markdown."""
    yield heading(this_machine(), plan.command)
    yield ""
    yield from (f"- `{name}`: {sizes}" for name, sizes in report.models.items())
    yield ""
    yield from summary(report)
    yield ""
    yield f"![tokens a second by batch size]({plan.plot('engine').name})"
    yield from titled("Forced lengths, one thread, tokens/s", speed_table(report.one_thread))
    if report.all_cores:
        title = f"Forced lengths, {report.cores} threads, one batch a thread, tokens/s"
        yield from titled(title, speed_table(report.all_cores))
    yield from titled("Natural lengths, one thread, tokens/s", speed_table(report.natural))
    yield from titled("PyTorch for scale, greedy, one thread, tokens/s", pytorch_table(report))
    yield from titled("CTranslate2's instructions, greedy, one thread, tokens/s", isa_table(report))
    yield from titled("Python's part of our int8 decoding time, one thread", share_table(report))
    yield from titled("Greedy tokens in float32, both engines", agreement_table(report))


def titled(title: str, content: Iterator[str]) -> Iterator[str]:
    """A table with its heading."""
    yield from ("", f"### {title}", "")
    yield from content


def summary(report: Report) -> Iterator[str]:
    """The ratios in a few lines."""
    for title, cells in (
        ("one thread", report.one_thread),
        (f"{report.cores} threads", report.all_cores),
        ("natural lengths", report.natural),
    ):
        for kind in ("int8", "float32"):
            found = [ratio for cell in cells if (ratio := cell.ratio(kind)) is not None]
            if found:
                yield (
                    f"- {title}, {kind}: {min(found):.2f} to {max(found):.2f} times CTranslate2, "
                    f"geometric mean {geometric_mean(found):.2f}"
                )


def speed_table(cells: Sequence[Cell]) -> Iterator[str]:
    """A row a cell; empty where nothing was measured."""
    header = ["model", "search", "batch"]
    for kind in ("int8", "float32"):
        header += [f"ours {kind}", f"CTranslate2 {kind}", "ratio"]
    rows = []
    for cell in cells:
        row = [cell.model, cell.search, str(cell.batch)]
        for kind in ("int8", "float32"):
            found = cell.speeds.get(kind), cell.theirs(kind), cell.ratio(kind)
            row += [number(found[0]), number(found[1]), number(found[2], 2)]
        rows.append(row)
    yield from table(header, rows, texts=2)


def pytorch_table(report: Report) -> Iterator[str]:
    """PyTorch beside ours."""
    header = ["model", "batch", "PyTorch float32", "ours float32", "ratio", "ours int8", "ratio"]
    rows = []
    for cell in report.pytorch:
        plain = cell.speeds["PyTorch"]
        row = [cell.model, str(cell.batch), number(plain)]
        for kind in ("float32", "int8"):
            row += [number(cell.speeds[kind]), number(cell.speeds[kind] / plain, 2)]
        rows.append(row)
    yield from table(header, rows)


def isa_table(report: Report) -> Iterator[str]:
    """CTranslate2 under each instruction set, or one sentence if there is only one."""
    if len(report.isas) == 1:
        yield f"CTranslate2 takes {report.isa} by itself here; nothing better can be forced."
        return
    yield (
        f"It takes {report.isas[0]} by itself and has to be told of {report.isas[1]}. Everything "
        f"else on this page is measured with {report.isa}, the faster one here in int8."
    )
    yield ""
    names = list(report.instruction_sets[0].speeds)
    rows = [
        [cell.model, str(cell.batch), *(number(cell.speeds[name]) for name in names)]
        for cell in report.instruction_sets
    ]
    yield from table(["model", "batch", *names], rows)


def share_table(report: Report) -> Iterator[str]:
    """Whatever happens outside of ONNX Runtime's calls."""
    rows = [
        [cell.model, cell.search, str(cell.batch), f"{cell.speeds['share']:.1%}"]
        for cell in report.shares
    ]
    yield from table(["model", "search", "batch", "Python"], rows, texts=2)


def agreement_table(report: Report) -> Iterator[str]:
    """How many sentences and tokens are the same."""
    rows = [
        [
            each.model,
            f"{each.same} of {each.sentences}",
            f"{each.same_tokens:,} of {each.tokens:,}",
        ]
        for each in report.agreements
    ]
    yield from table(["model", "same sentences", "same tokens before a difference"], rows)


def panels(report: Report) -> Iterator[Panel]:
    """Greedy speed against the batch: a panel a model."""
    for model in report.models:
        cells = [c for c in report.one_thread if c.model == model and c.beam_size == 1]
        drawn = {}
        for kind in ("int8", "float32"):
            drawn[f"ours {kind}"] = [(c.batch, c.speeds[kind]) for c in cells]
            drawn[f"CTranslate2 {kind}"] = [(c.batch, c.theirs(kind) or 0.0) for c in cells]
        yield Panel(model, "batch size", "tokens/s, greedy, one thread", drawn, ("log", "linear"))


def number(value: float | None, digits: int = 0) -> str:
    """A figure of a table, or nothing."""
    return "" if value is None else f"{value:,.{digits}f}"
