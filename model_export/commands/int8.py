"""The commands that make a bundle faster, and refuse to lose quality: `quantize`, `shortlist`."""

from pathlib import Path
from typing import Annotated

import typer

from model_export.commands.options import (
    BundleFolder,
    ComparedPairs,
    Corpora,
    RecipePath,
    Tolerance,
)
from model_export.recipe import load_recipe


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (quantize, shortlist):
        app.command()(command)


def quantize(
    source: Annotated[Path, typer.Argument(help="The float32 bundle.", exists=True)],
    target: Annotated[Path, typer.Argument(help="The int8 bundle to write.")],
    calibration: Annotated[Path, typer.Option(help="Pair file to calibrate on.", exists=True)],
    pairs: ComparedPairs,
    sentences: Annotated[int, typer.Option(min=1, help="Calibration pairs.")] = 200,
    percentile: Annotated[float, typer.Option(min=99, max=100, help="100 keeps extremes.")] = 99.99,
    tolerance: Tolerance = 0.5,
) -> None:
    """Make an int8 bundle: smaller and several times faster. Refuses to lose quality."""
    from model_export.data.corpus import read_pairs
    from model_export.quantisation import bundle_agreement, quantise_bundle, served_texts
    from service.engine.bundle import load_bundle

    served = load_bundle(source).manifest.directions
    texts = served_texts(list(read_pairs(calibration))[:sentences], served)
    typer.echo(f"ranges: percentile {percentile:g} of {len(texts)} sentences")
    quantise_bundle(source, target, texts, pairs, percentile, tolerance, typer.echo)
    checked = served_texts([pair for path in pairs for pair in read_pairs(path)], served)
    agreement = bundle_agreement(source, target, checked)
    typer.echo(
        f"after the same beginning, {agreement.share:.2%} of {agreement.pieces:,} pieces are "
        "the same in both"
    )
    size = sum(path.stat().st_size for path in target.iterdir())
    typer.echo(f"{target}: {size / 1e6:.1f} MB")


def shortlist(
    bundle: BundleFolder,
    recipe: RecipePath,
    corpora: Corpora,
    pairs: ComparedPairs,
    always: Annotated[int, typer.Option(min=1, help="Frequent pieces, always allowed.")] = 1000,
    best: Annotated[int, typer.Option(min=1, help="Target pieces for a source piece.")] = 20,
    sample: Annotated[int, typer.Option(min=1, help="Pairs to learn from.")] = 100_000,
    tolerance: Tolerance = 0.3,
) -> None:
    """Add a vocabulary shortlist to an int8 bundle: it scores fewer pieces for each sentence."""
    from model_export.lexicon import ShortlistSizes
    from model_export.shortlist import add_shortlist, learn_table, list_size
    from service.engine.bundle import load_bundle

    sizes = ShortlistSizes(always, best)
    table = learn_table(load_bundle(bundle), load_recipe(recipe), corpora, sample, sizes)
    made = add_shortlist(bundle, table, pairs, tolerance, typer.echo)
    size = made.manifest.vocabulary.size
    typer.echo(f"a sentence chooses among {list_size(made, pairs):,.0f} of {size:,} pieces")
