"""A comparison for people: markdown between two markers of a page, and a plot beside the page."""

from collections.abc import Iterator, Sequence
from math import nan
from pathlib import Path

from matplotlib.figure import Figure

from model_export.quality.comparison import (
    Comparison,
    ComparisonError,
    DirectionScores,
    LengthScore,
)
from model_export.quality.evaluation import TEXTS_PER_REQUEST, signatures

BEGIN, END = "<!-- compare: begin -->", "<!-- compare: end -->"
PLOTTED_PAIRS = 20
"""A bucket of fewer pairs is in the table but not in the plot: its score is mostly chance."""
# Okabe & Ito 2008: told apart with any kind of colour vision, and by marker without colours. The
# numbers of both share no factor, so thirty models look different.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
MARKERS = "os^Dv*"


def page_of(output: Path) -> Path:
    """The page that `output`, a path without its ending, means."""
    return output.with_name(f"{output.name}.md")


def plot_of(output: Path) -> Path:
    """The plot beside the page."""
    return output.with_name(f"{output.name}-length.png")


def read_page(output: Path) -> tuple[str, str]:
    """What stands before and after the comparison; a page that is absent begins empty.

    Raises ComparisonError for a page without the two markers, each on a line of its own.
    """
    page = page_of(output)
    if not page.exists():
        return f"{BEGIN}\n", f"{END}\n"
    before, begin, rest = page.read_text("utf-8").partition(f"{BEGIN}\n")
    _, end, after = rest.partition(f"{END}\n")
    if not begin or not end:
        raise ComparisonError(f"{page} has no lines {BEGIN} and {END} for the table")
    return before + begin, end + after


def write_comparison(comparison: Comparison, output: Path) -> str:
    """Puts table and plot into place -> the table. Raises ComparisonError as `read_page`."""
    before, after = read_page(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    table = "\n".join(table_lines(comparison)) + "\n"
    plot_lengths(comparison, plot_of(output))
    picture = f"![chrF2++ by words of the source]({plot_of(output).name})\n"
    page_of(output).write_text(f"{before}\n{table}\n{picture}\n{after}", "utf-8")
    return table


def table_lines(comparison: Comparison) -> Iterator[str]:
    """All figures in markdown: one table over everything, then one a direction by length."""
    decoding = f"beam {comparison.beam_size}" if comparison.beam_size > 1 else "greedy"
    data = ", ".join(f"{name} ({pairs:,})" for name, pairs in comparison.data)
    yield f"Pairs: {data}. Decoding: {decoding}."
    yield ""
    yield from size_table(comparison)
    yield ""
    yield (
        f"Speed counts everything from text to text, both directions, {TEXTS_PER_REQUEST} texts in "
        f"a request, on the machine of this run, with {comparison.cores} CPU cores. It compares "
        "the models of this table with each other and with nothing else. A text is a line of a "
        "pair file; some have several sentences."
    )
    for scores in zip(*(model.directions for model in comparison.models), strict=True):
        yield ""
        yield f"{scores[0].direction}, by words of the source:"
        yield ""
        yield from length_table([model.name for model in comparison.models], scores)
    yield ""
    for target in dict.fromkeys(s.direction.target for s in comparison.models[0].directions):
        yield f"- into {target}: `{signatures(target)}`"


def size_table(comparison: Comparison) -> Iterator[str]:
    """A row a model: size, speed and the scores of all pairs."""
    directions = [scores.direction for scores in comparison.models[0].directions]
    metrics = [
        f"{metric} {direction}" for direction in directions for metric in ("BLEU", "chrF2++")
    ]
    yield row("model", "parameters", "bundle", *metrics, "texts/s", "target tokens/s")
    yield "|---" + "|---:" * (len(metrics) + 4) + "|"
    for model in comparison.models:
        yield row(
            model.name,
            f"{model.parameters:,}",
            f"{model.bundle_bytes / 1e6:.1f} MB",
            *(cell for scores in model.directions for cell in figure_cells(scores.overall)),
            f"{model.texts_per_second:.1f}",
            f"{model.target_tokens_per_second:,.0f}",
        )


def length_table(names: Sequence[str], scores: Sequence[DirectionScores]) -> Iterator[str]:
    """A row a bucket, two columns a model."""
    metrics = [f"{name} {metric}" for name in names for metric in ("BLEU", "chrF2++")]
    yield row("words", "pairs", *metrics)
    yield "|---" + "|---:" * (len(metrics) + 1) + "|"
    for bucket in zip(*(direction.by_length for direction in scores), strict=True):
        cells = (cell for score in bucket for cell in figure_cells(score))
        yield row(bucket[0].words, f"{bucket[0].pairs:,}", *cells)


def figure_cells(score: LengthScore) -> list[str]:
    """BLEU and chrF2++, or nothing where nothing was scored."""
    return ["" if value is None else f"{value:.1f}" for value in (score.bleu, score.chrf)]


def row(*cells: str) -> str:
    """A line of a markdown table."""
    return f"| {' | '.join(cells)} |"


def plot_lengths(comparison: Comparison, path: Path) -> Figure:
    """chrF2++ against words of the source as PNG: a panel a direction, a line a model."""
    directions = [scores.direction for scores in comparison.models[0].directions]
    figure = Figure(figsize=(5 * len(directions), 4.2), layout="constrained")
    panels = figure.subplots(1, len(directions), squeeze=False)[0]
    for number, (panel, direction) in enumerate(zip(panels, directions, strict=True)):
        for place, model in enumerate(comparison.models):
            buckets = model.directions[number].by_length
            panel.plot(
                [f"{b.words}\n({b.pairs:,})" for b in buckets],
                [plotted(b) for b in buckets],
                color=COLOURS[place % len(COLOURS)],
                marker=MARKERS[place % len(MARKERS)],
                linewidth=2,
                label=model.name,
            )
        panel.set_title(str(direction))
        panel.set_xlabel("words of the source (pairs)")
        panel.set_ylabel("chrF2++")
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=150)
    return figure


def plotted(score: LengthScore) -> float:
    """Where the bucket's point lies; nan, which leaves a gap, for too few pairs."""
    return nan if score.chrf is None or score.pairs < PLOTTED_PAIRS else score.chrf
