"""The commands from pair files to a float32 bundle: `tokenizer`, `train`, `export`, `verify`; and
`synthesise`, which makes more pairs.
"""

import math
import time
from pathlib import Path
from typing import Annotated

import typer

from model_export.commands.options import BeamSize, BundleFolder, Corpora, RecipePath, RunFolder
from model_export.recipe import load_recipe


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (tokenizer, train, export, verify, synthesise):
        app.command()(command)


def tokenizer(recipe: RecipePath, corpora: Corpora, run: RunFolder) -> None:
    """Train the SentencePiece model on one epoch of the recipe's mixture."""
    from model_export.runs import make_tokenizer

    path = make_tokenizer(load_recipe(recipe), corpora, run)
    typer.echo(f"tokenizer: {path}")


def train(
    recipe: RecipePath,
    corpora: Corpora,
    run: RunFolder,
    start_from: Annotated[
        Path | None, typer.Option(help="Bundle whose weights and tokenizer a new run begins with.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Save and stop after so many; run again to go on.")
    ] = None,
) -> None:
    """Train, or continue a run that was stopped or killed: it loses a minute at most."""
    deadline = math.inf if minutes is None else time.monotonic() + 60 * minutes
    from model_export import runs
    from model_export.plots import plot_history
    from model_export.quality.evaluation import signatures
    from model_export.training import Trainer

    plan = load_recipe(recipe)
    trainer, dev = runs.make_trainer(plan, corpora, run, start_from)
    typer.echo(f"{'continuing' if trainer.update else 'starting'} at update {trainer.update}")
    for language in plan.languages:
        typer.echo(f"scores into {language}: {signatures(language)}")

    def report(trainer: Trainer) -> None:
        last = trainer.history[-1]
        scores = ", ".join(f"{name} {value:.1f}" for name, value in last.scores.items())
        typer.echo(f"\nupdate {last.update}: dev loss {last.dev_loss:.3f}; {scores}")
        plot_history(trainer.history, run / "loss.png")

    runs.train(trainer, dev, report, deadline)
    if trainer.update < plan.training.updates:
        typer.echo(f"\nstopped at update {trainer.update} of {plan.training.updates}; not done yet")


def export(
    recipe: RecipePath,
    bundle: BundleFolder,
    corpora: Corpora,
    run: RunFolder,
    average_with: Annotated[
        Path | None, typer.Option(help="Bundle that the run started from: the mean of both.")
    ] = None,
) -> None:
    """Write the bundle: ONNX graphs of the averaged weights, tokenizer, manifest, model card.

    Instead of a run, --run may be a float32 bundle, even the same: its graphs are written anew.
    """
    from model_export.export import REFERENCE_SENTENCES, averaged_with, export_run, load_run
    from model_export.runs import choose_alignment, data_sets, load_data

    plan = load_recipe(recipe)
    dev = load_data(plan, corpora)[1]
    first, second = plan.languages
    some = dev[: REFERENCE_SENTENCES // 2]
    sentences = [(a, second) for a, _ in some] + [(b, first) for _, b in some]
    trained = load_run(plan, run, tuple(data_sets(plan, corpora)))
    if average_with is not None:
        trained = averaged_with(trained, average_with)
    typer.echo(choose_alignment(trained, dev))
    manifest = export_run(trained, bundle, sentences)
    size = sum(file.bytes for file in manifest.files.values())
    typer.echo(f"{bundle}: {manifest.parameters:,} parameters, {size / 1e6:.1f} MB")


def verify(
    bundle: BundleFolder,
    recipe: Annotated[
        Path | None, typer.Option(help="With --run: compare with the run, not the stored trace.")
    ] = None,
    run: Annotated[Path | None, typer.Option(help="Folder of the run.")] = None,
) -> None:
    """Compare the bundle under ONNX Runtime with PyTorch, per step and end to end.

    Without --recipe and --run, with what PyTorch computed at export time. Fails on a difference.
    """
    from model_export.export import load_run
    from model_export.verify import verify_bundle

    if (recipe is None) != (run is None):
        raise typer.BadParameter("--recipe and --run go together")
    live = load_run(load_recipe(recipe), run) if recipe is not None and run is not None else None
    parity = verify_bundle(bundle, live)
    typer.echo(
        f"{parity.sentences} sentences, {parity.steps} steps: log-probabilities differ by at most "
        f"{parity.max_step_difference:.2g} ({parity.mean_step_difference:.2g} on average), "
        f"scores by {parity.max_score_difference:.2g}, "
        f"{parity.different_hypotheses} hypotheses differ"
    )


def synthesise(
    bundle: BundleFolder,
    files: Annotated[
        list[str], typer.Argument(help="Pair files, or plain texts, in the corpora folder.")
    ],
    corpora: Annotated[Path, typer.Option(help="Folder that all paths start from.", exists=True)],
    direction: Annotated[str, typer.Option(help="Such as ko-en: from the given side.")],
    output: Annotated[str, typer.Option(help="Pair file to write, .tsv, .tsv.gz or .tsv.xz.")],
    beam_size: BeamSize = 4,
    closest: Annotated[
        float | None,
        typer.Option(
            help="Of the beam, take what is closest to the other side, if so many chrF++."
        ),
    ] = None,
) -> None:
    """Translate one side of pair files with a bundle: for back-translation or distillation."""
    from model_export.synthesis import KEPT
    from model_export.synthesis import synthesise as make
    from service.engine.bundle import Direction

    source, _, target = direction.partition("-")
    paths = [corpora / file for file in files]
    way = Direction(source, target)
    counted = make(bundle, paths, way, corpora / output, beam_size, closest)
    typer.echo(f"{corpora / output}: {counted.pop(KEPT, 0):,} pairs")
    for reason, count in counted.most_common():
        typer.echo(f"left out: {count:,} {reason}")
