"""The benchmarks' command line; each writes its section of a page.

A package's `__main__` is not imported again by the processes that benchmarks start, so those hold
nothing but what they run.
"""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.plan import Plan

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)

Quick = Annotated[bool, typer.Option("--quick", help="A smoke check of about a minute.")]
Weights = Annotated[Path, typer.Option(help="The float32 bundle of a Transformer.", exists=True)]
BundleFolder = Annotated[Path, typer.Option("--bundle", help="The same as int8.", exists=True)]
Output = Annotated[
    Path | None,
    typer.Option(help="The page, without `.md` (docs/benchmarks; build/benchmarks if quick)."),
]

WEIGHTS, BUNDLE = Path("weights/en-ko-transformer"), Path("models/en-ko-transformer")


@app.command()
def engine(
    weights: Weights = WEIGHTS,
    bundle: BundleFolder = BUNDLE,
    output: Output = None,
    quick: Quick = False,
    ctranslate2: Annotated[
        Path | None,
        typer.Option(help="A CTranslate2 directory to import and measure; prints a table."),
    ] = None,
) -> None:
    """The engine against CTranslate2 and PyTorch on the same weights."""
    if ctranslate2 is not None:
        from benchmarks.imported import lines

        for line in lines(ctranslate2, quick):
            typer.echo(line)
        return
    from benchmarks.engine import run

    run(Plan.of("engine", weights, bundle, output, quick))


@app.command()
def serving(
    weights: Weights = WEIGHTS,
    bundle: BundleFolder = BUNDLE,
    output: Output = None,
    quick: Quick = False,
) -> None:
    """The service against web applications around CTranslate2, over HTTP."""
    from benchmarks.serving import run

    run(Plan.of("serving", weights, bundle, output, quick))


@app.command()
def scaling(
    weights: Weights = WEIGHTS,
    bundle: BundleFolder = BUNDLE,
    output: Output = None,
    quick: Quick = False,
) -> None:
    """What sentences, batches, texts and beams cost, and whether memory stays level."""
    from benchmarks.scaling import run

    run(Plan.of("scaling", weights, bundle, output, quick))


@app.command()
def marian_base(
    folder: Annotated[Path, typer.Argument(help="Where to write it; it must not exist.")],
    bundle: BundleFolder = BUNDLE,
) -> None:
    """Writes a CTranslate2 directory of the shape of OPUS-MT's, with random weights, for `engine
    --ctranslate2`; with the pieces of a bundle and more."""
    from benchmarks.marian_base import write_marian_base
    from service.engine.bundle import load_bundle

    write_marian_base(folder, bundle / load_bundle(bundle).manifest.vocabulary.source)


if __name__ == "__main__":
    app()
