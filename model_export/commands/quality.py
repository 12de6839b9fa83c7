"""The commands that measure bundles: `evaluate`, `challenge`, `calibrate`, `compare`."""

from pathlib import Path
from typing import Annotated

import typer

from model_export.commands.options import BeamSize, BundleFolder, Limit, PairFiles


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (evaluate, challenge, calibrate, compare):
        app.command()(command)


def evaluate(
    bundle: BundleFolder,
    pairs: PairFiles,
    beam_size: BeamSize = 4,
    limit: Limit = 0,
    record: Annotated[bool, typer.Option(help="Write scores to manifest and card.")] = False,
) -> None:
    """Print BLEU, chrF2 and chrF2++ with their signatures, both directions."""
    from model_export.export import record_scores
    from model_export.quality.evaluation import evaluate_bundle

    scores = []
    for score in evaluate_bundle(bundle, pairs, beam_size, limit):
        typer.echo(
            f"{score.data} {score.direction} {score.decoding}: {score.metric} "
            f"{score.value:.2f}  ({score.signature})"
        )
        scores.append(score)
    if record:
        record_scores(bundle, tuple(scores))


def challenge(
    bundle: BundleFolder,
    beam_size: BeamSize = 4,
    show: Annotated[bool, typer.Option(help="Print what failed, and how.")] = False,
    record: Annotated[bool, typer.Option(help="Write shares to manifest and card.")] = False,
) -> None:
    """Translate 200 everyday sentences a direction, and tell what is kept: numbers, names, ..."""
    from model_export.export import record_scores
    from model_export.quality.challenge.run import as_scores, failures, run_challenge, table

    results = dict(run_challenge(bundle, beam_size))
    if show:
        for direction, outcomes in results.items():
            typer.echo(f"\n{direction}\n\n" + "\n\n".join(failures(outcomes)) + "\n")
    typer.echo(table(results))
    if record:
        record_scores(bundle, tuple(as_scores(results, beam_size)))


def calibrate(
    bundle: BundleFolder,
    pairs: PairFiles,
    limit: Limit = 400,
) -> None:
    """Learn how sure translations are, print how far that holds, and write it into the manifest."""
    from model_export.quality.calibration import calibrate as learn
    from model_export.quality.calibration import record_confidence

    specs = []
    for found in learn(bundle, pairs, limit):
        spec = found.spec
        typer.echo(
            f"{spec.direction}: chrF2 is {spec.threshold:g} or more in {found.good:.1%} of "
            f"{spec.sentences:,} sentences; expected calibration error {spec.error:.3f}; "
            f"warnings {found.warnings:.2%}, false alarms {found.false_alarms:.2%}"
        )
        specs.append(spec)
    record_confidence(bundle, specs)


def compare(
    bundles: Annotated[list[Path], typer.Argument(help="Bundle directories.", exists=True)],
    pairs: Annotated[
        list[Path],
        typer.Option(
            help="Pair file or folder of them, columns as in the first bundle's first direction.",
            exists=True,
        ),
    ],
    beam_size: BeamSize = 4,
    limit: Limit = 0,
    output: Annotated[
        Path, typer.Option(help="Page and plot, without ending: OUTPUT.md, OUTPUT-length.png.")
    ] = Path("docs/models"),
) -> None:
    """Compare bundles by length of the source; writes a table and a plot, and prints the table."""
    from model_export.quality.comparison import compare_bundles
    from model_export.quality.comparison_page import read_page, write_comparison

    read_page(output)  # a page without a place for the table is better found now than in an hour
    typer.echo(write_comparison(compare_bundles(bundles, pairs, beam_size, limit), output))
