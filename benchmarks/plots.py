"""Plots of figures against how much is asked for: panels side by side, a line a name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from matplotlib.figure import Figure

# Okabe & Ito 2008: told apart with any kind of colour vision, and by marker without colours.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
MARKERS = "os^Dv"


@dataclass(frozen=True, slots=True)
class Panel:
    """One diagram: lines by name, each a sequence of (x, y)."""

    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    scales: tuple[Literal["linear", "log"], Literal["linear", "log"]] = ("linear", "linear")


def plot(panels: Sequence[Panel], path: Path) -> None:
    """Writes a PNG."""
    figure = Figure(figsize=(4.6 * len(panels), 4), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for panel, ax in zip(panels, axes, strict=True):
        for place, (name, points) in enumerate(panel.lines.items()):
            style = {"color": COLOURS[place % 5], "marker": MARKERS[place % 5]}
            ax.plot(*zip(*points, strict=True), label=name, linewidth=2, **style)
        ax.set_title(panel.title)
        ax.set_xlabel(panel.x)
        ax.set_ylabel(panel.y)
        for axis, scale in zip("xy", panel.scales, strict=True):
            getattr(ax, f"set_{axis}scale")(scale)
        if panel.scales[0] == "log":
            places = sorted({x for points in panel.lines.values() for x, _ in points})
            ax.set_xticks(places, [f"{place:g}" for place in places])
            ax.minorticks_off()
        if panel.scales[1] == "linear":
            ax.set_ylim(bottom=0)
        ax.grid(alpha=0.3)
    if len(panels[0].lines) > 1:
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
