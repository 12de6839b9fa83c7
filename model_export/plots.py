"""Pictures of a training run."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from model_export.training import Evaluation


def plot_history(history: Sequence[Evaluation], path: Path) -> None:
    """Loss and dev scores against updates, as one PNG."""
    updates = [e.update for e in history]
    figure = Figure(figsize=(7, 4), layout="constrained")
    loss = figure.subplots()
    loss.plot(updates, [e.train_loss for e in history], label="train loss (smoothed)")
    loss.plot(updates, [e.dev_loss for e in history], label="dev loss")
    loss.set_xlabel("updates")
    loss.set_ylabel("nats per token")
    names = sorted({name for e in history for name in e.scores if name.startswith("chrF")})
    if names:
        score = loss.twinx()
        score.set_ylabel("chrF")
        for name in names:
            rows = [(e.update, e.scores[name]) for e in history if name in e.scores]
            score.plot(*zip(*rows, strict=True), linestyle="--", label=name)
        score.legend(loc="upper right")
    loss.legend(loc="upper left")
    loss.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
