"""From pair files to a served bundle, one subcommand a stage, in this order:
tokenizer, train, export, verify, evaluate, challenge, calibrate. `compare` sets several bundles
side by side, `shortlist` lets an int8 bundle score fewer pieces, `synthesise` makes pairs.
`import-opus`, `import-ctranslate2` and `import-argos` make bundles of other people's models.

A recipe (model_export/recipes/*.toml) says what is trained on what; the run folder holds all that
a run makes; the bundle folder is what `seq2serve serve` loads.
"""

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from model_export import import_commands
from model_export.recipe import RecipeError, load_recipe

if TYPE_CHECKING:
    from model_export.quantisation import Loss

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
import_commands.register(app)

RecipePath = Annotated[Path, typer.Argument(help="The recipe, a TOML file.", exists=True)]
Corpora = Annotated[
    Path, typer.Option(help="Folder that the paths in the recipe start from.", exists=True)
]
RunFolder = Annotated[Path, typer.Option("--run", help="Folder of this run.")]
BundleFolder = Annotated[Path, typer.Argument(help="The bundle directory.")]


@app.command()
def tokenizer(recipe: RecipePath, corpora: Corpora, run: RunFolder) -> None:
    """Train the SentencePiece model on one epoch of the recipe's mixture."""
    from model_export.runs import make_tokenizer

    path = make_tokenizer(load_recipe(recipe), corpora, run)
    typer.echo(f"tokenizer: {path}")


@app.command()
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
    from model_export.evaluation import signatures
    from model_export.plots import plot_history
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


@app.command()
def export(recipe: RecipePath, bundle: BundleFolder, corpora: Corpora, run: RunFolder) -> None:
    """Write the bundle: ONNX graphs of the averaged weights, tokenizer, manifest, model card.

    Instead of a run, --run may be a float32 bundle, even the same: its graphs are written anew.
    """
    from model_export.export import REFERENCE_SENTENCES, export_run, load_run
    from model_export.runs import choose_alignment, data_sets, load_data

    plan = load_recipe(recipe)
    dev = load_data(plan, corpora)[1]
    first, second = plan.languages
    some = dev[: REFERENCE_SENTENCES // 2]
    sentences = [(a, second) for a, _ in some] + [(b, first) for _, b in some]
    trained = load_run(plan, run)
    typer.echo(choose_alignment(trained, dev))
    data = trained.data or tuple(data_sets(plan, corpora))
    manifest = export_run(trained, bundle, data, sentences)
    size = sum(file.bytes for file in manifest.files.values())
    typer.echo(f"{bundle}: {manifest.parameters:,} parameters, {size / 1e6:.1f} MB")


@app.command()
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


@app.command()
def evaluate(
    bundle: BundleFolder,
    pairs: Annotated[
        list[Path],
        typer.Argument(help="Pair files, columns as in the bundle's first direction.", exists=True),
    ],
    beam_size: Annotated[int, typer.Option(min=1, help="1 is greedy.")] = 4,
    limit: Annotated[int, typer.Option(min=0, help="Pairs of each file; 0 is all.")] = 0,
    record: Annotated[bool, typer.Option(help="Write scores to manifest and card.")] = False,
) -> None:
    """Print BLEU, chrF2 and chrF2++ with their signatures, both directions."""
    from model_export.evaluation import evaluate_bundle
    from model_export.export import record_scores

    scores = []
    for score in evaluate_bundle(bundle, pairs, beam_size, limit):
        typer.echo(
            f"{score.data} {score.direction} {score.decoding}: {score.metric} "
            f"{score.value:.2f}  ({score.signature})"
        )
        scores.append(score)
    if record:
        record_scores(bundle, tuple(scores))


@app.command()
def challenge(
    bundle: BundleFolder,
    beam_size: Annotated[int, typer.Option(min=1, help="1 is greedy.")] = 4,
    show: Annotated[bool, typer.Option(help="Print what failed, and how.")] = False,
    record: Annotated[bool, typer.Option(help="Write shares to manifest and card.")] = False,
) -> None:
    """Translate 200 everyday sentences a direction, and tell what is kept: numbers, names, ..."""
    from model_export.challenge.run import as_scores, failures, run_challenge, table
    from model_export.export import record_scores

    results = dict(run_challenge(bundle, beam_size))
    if show:
        for direction, outcomes in results.items():
            typer.echo(f"\n{direction}\n\n" + "\n\n".join(failures(outcomes)) + "\n")
    typer.echo(table(results))
    if record:
        record_scores(bundle, tuple(as_scores(results, beam_size)))


@app.command()
def calibrate(
    bundle: BundleFolder,
    pairs: Annotated[
        list[Path],
        typer.Argument(help="Pair files, columns as in the bundle's first direction.", exists=True),
    ],
    limit: Annotated[int, typer.Option(min=0, help="Pairs of each file; 0 is all.")] = 400,
) -> None:
    """Learn how sure translations are, print how far that holds, and write it into the manifest."""
    from model_export.calibration import calibrate as learn
    from model_export.calibration import record_confidence

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


@app.command()
def compare(
    bundles: Annotated[list[Path], typer.Argument(help="Bundle directories.", exists=True)],
    pairs: Annotated[
        list[Path],
        typer.Option(
            help="Pair file or folder of them, columns as in the first bundle's first direction.",
            exists=True,
        ),
    ],
    beam_size: Annotated[int, typer.Option(min=1, help="1 is greedy.")] = 4,
    limit: Annotated[int, typer.Option(min=0, help="Pairs of each file; 0 is all.")] = 0,
    output: Annotated[
        Path, typer.Option(help="Page and plot, without ending: OUTPUT.md, OUTPUT-length.png.")
    ] = Path("docs/models"),
) -> None:
    """Compare bundles by length of the source; writes a table and a plot, and prints the table."""
    from model_export.comparison import compare_bundles
    from model_export.comparison_page import read_page, write_comparison

    read_page(output)  # a page without a place for the table is better found now than in an hour
    typer.echo(write_comparison(compare_bundles(bundles, pairs, beam_size, limit), output))


@app.command()
def quantize(
    source: Annotated[Path, typer.Argument(help="The float32 bundle.", exists=True)],
    target: Annotated[Path, typer.Argument(help="The int8 bundle to write.")],
    calibration: Annotated[Path, typer.Option(help="Pair file to calibrate on.", exists=True)],
    pairs: Annotated[list[Path], typer.Option(help="Pair file to compare on.", exists=True)],
    sentences: Annotated[int, typer.Option(min=1, help="Calibration pairs.")] = 200,
    percentile: Annotated[float, typer.Option(min=99, max=100, help="100 keeps extremes.")] = 99.99,
    tolerance: Annotated[float, typer.Option(help="chrF2++ points that may be lost.")] = 0.5,
) -> None:
    """Make an int8 bundle: smaller and several times faster. Refuses to lose quality."""
    from model_export.corpus import read_pairs
    from model_export.quantisation import bundle_agreement, quantise_bundle, served_texts
    from service.engine.bundle import load_bundle

    served = load_bundle(source).manifest.directions
    texts = served_texts(list(read_pairs(calibration))[:sentences], served)
    typer.echo(f"ranges: percentile {percentile:g} of {len(texts)} sentences")
    quantise_bundle(source, target, texts, pairs, percentile, tolerance, _report_loss)
    checked = served_texts([pair for path in pairs for pair in read_pairs(path)], served)
    agreement = bundle_agreement(source, target, checked)
    typer.echo(
        f"after the same beginning, {agreement.share:.2%} of {agreement.pieces:,} pieces are "
        "the same in both"
    )
    size = sum(path.stat().st_size for path in target.iterdir())
    typer.echo(f"{target}: {size / 1e6:.1f} MB")


@app.command()
def synthesise(
    bundle: BundleFolder,
    files: Annotated[
        list[str], typer.Argument(help="Pair files, or plain texts, in the corpora folder.")
    ],
    corpora: Annotated[Path, typer.Option(help="Folder that all paths start from.", exists=True)],
    direction: Annotated[str, typer.Option(help="Such as ko-en: from the given side.")],
    output: Annotated[str, typer.Option(help="Pair file to write, .tsv, .tsv.gz or .tsv.xz.")],
    beam_size: Annotated[int, typer.Option(min=1, help="1 is greedy.")] = 4,
) -> None:
    """Translate one side of pair files with a bundle: for back-translation or distillation."""
    from model_export.synthesis import KEPT
    from model_export.synthesis import synthesise as make
    from service.engine.bundle import Direction

    source, _, target = direction.partition("-")
    paths = [corpora / file for file in files]
    counted = make(bundle, paths, Direction(source, target), corpora / output, beam_size)
    typer.echo(f"{corpora / output}: {counted.pop(KEPT, 0):,} pairs")
    for reason, count in counted.most_common():
        typer.echo(f"left out: {count:,} {reason}")


@app.command()
def shortlist(
    bundle: BundleFolder,
    recipe: RecipePath,
    corpora: Corpora,
    pairs: Annotated[list[Path], typer.Option(help="Pair file to compare on.", exists=True)],
    always: Annotated[int, typer.Option(min=1, help="Frequent pieces, always allowed.")] = 1000,
    best: Annotated[int, typer.Option(min=1, help="Target pieces for a source piece.")] = 20,
    sample: Annotated[int, typer.Option(min=1, help="Pairs to learn from.")] = 100_000,
    tolerance: Annotated[float, typer.Option(help="chrF2++ points that may be lost.")] = 0.3,
) -> None:
    """Add a vocabulary shortlist to an int8 bundle: it scores fewer pieces for each sentence."""
    from model_export.lexicon import ShortlistSizes
    from model_export.shortlist import add_shortlist, learn_table, list_size
    from service.engine.bundle import load_bundle

    sizes = ShortlistSizes(always, best)
    table = learn_table(load_bundle(bundle), load_recipe(recipe), corpora, sample, sizes)
    made = add_shortlist(bundle, table, pairs, tolerance, _report_loss)
    size = made.manifest.vocabulary.size
    typer.echo(f"a sentence chooses among {list_size(made, pairs):,.0f} of {size:,} pieces")


def _report_loss(loss: "Loss") -> None:
    before, after = loss.before, loss.after
    typer.echo(
        f"{before.data} {before.direction}: {after.metric} {before.value} -> {after.value} "
        f"({-loss.loss:+.2f})"
    )


def main() -> None:
    """Runs the command line; an error that the user can mend is one line, not a traceback."""
    from model_export.calibration import CalibrationError
    from model_export.challenge.sentences import ChallengeError
    from model_export.checkpoint import WeightsError
    from model_export.comparison import ComparisonError
    from model_export.corpus import CorpusError
    from model_export.importers.imported import ImportFaults
    from model_export.parity import ParityError
    from model_export.quantisation import QualityError
    from model_export.shortlist_graph import ShortlistGraphError
    from service.errors import Seq2ServeError

    try:
        app()
    except (
        RecipeError,
        CalibrationError,
        CorpusError,
        ChallengeError,
        WeightsError,
        ParityError,
        ComparisonError,
        ImportFaults,
        QualityError,
        ShortlistGraphError,
        Seq2ServeError,
    ) as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
