"""Plots of figures against how much is asked for: panels side by side, a line a name."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from matplotlib.figure import Figure

Scale = Literal["linear", "log"]
# Okabe & Ito 2008: told apart with any kind of colour vision, and by marker without colours.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
MARKERS = "os^Dv"
ACROSS = 3
"""Panels side by side; more stand in two rows."""
MARKED = 12
"""A line of more points is drawn without markers."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One diagram: lines by name, each a sequence of (x, y)."""

    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    scales: tuple[Scale, Scale] = ("linear", "linear")


def plot(panels: Sequence[Panel], path: Path) -> None:
    """Writes a PNG."""
    columns = len(panels) if len(panels) <= ACROSS else math.ceil(len(panels) / 2)
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(4.4 * columns, 0.4 + 3.6 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for spare in axes[len(panels) :]:
        spare.remove()
    for panel, ax in zip(panels, axes, strict=False):
        for place, (name, points) in enumerate(panel.lines.items()):
            marker = MARKERS[place % 5] if len(points) <= MARKED else ""
            colour = COLOURS[place % 5]
            x, y = zip(*points, strict=True)
            ax.plot(x, y, label=name, linewidth=2, color=colour, marker=marker)
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
        if len(panel.lines) > 1:
            ax.legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
