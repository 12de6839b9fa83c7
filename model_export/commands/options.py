"""Arguments and options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

RecipePath = Annotated[Path, typer.Argument(help="The recipe, a TOML file.", exists=True)]
Corpora = Annotated[
    list[Path],
    typer.Option(
        help="Folder that the paths in the recipe start from; give it again for another.",
        exists=True,
    ),
]
RunFolder = Annotated[Path, typer.Option("--run", help="Folder of this run.")]
BundleFolder = Annotated[Path, typer.Argument(help="The bundle directory.")]
PairFiles = Annotated[
    list[Path],
    typer.Argument(help="Pair files, columns as in the bundle's first direction.", exists=True),
]
BeamSize = Annotated[int, typer.Option(min=1, help="1 is greedy.")]
Limit = Annotated[int, typer.Option(min=0, help="Pairs of each file; 0 is all.")]
Tolerance = Annotated[float, typer.Option(help="chrF2++ points that may be lost.")]
ComparedPairs = Annotated[
    list[Path], typer.Option("--pairs", help="Pair file to compare on.", exists=True)
]
