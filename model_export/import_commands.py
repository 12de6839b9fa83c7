"""The commands that import other people's models: `import-opus`, `import-ctranslate2`,
`import-argos`. Each reads, checks, compares with the original library, makes int8, and writes a
bundle; or says everything that stands in the way, and writes nothing.
"""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from model_export.importers.imported import Asked, Imported

Reader = Callable[["Asked"], AbstractContextManager[tuple["Imported", Path]]]
"""What was read, and the folder that the original library can read."""

BundleFolder = Annotated[Path, typer.Argument(help="The bundle directory to write.")]
Sources = Annotated[
    list[str] | None, typer.Option("--source", help="Language that the model reads; repeatable.")
]
Targets = Annotated[
    list[str] | None, typer.Option("--target", help="Language that it writes; repeatable.")
]
Licence = Annotated[
    str | None, typer.Option(help="Licence of the weights, if no README beside them tells.")
]
Name = Annotated[str | None, typer.Option(help="Name in requests; by default the bundle's.")]
Precision = Annotated[Literal["int8", "float32"], typer.Option(help="What to make of it.")]
Calibration = Annotated[
    Path | None,
    typer.Option(
        help="Text in the source language, a sentence a line, to measure int8's ranges on; "
        "without it, sentences are drawn from the tokenizer's pieces.",
        exists=True,
    ),
]
Pairs = Annotated[
    list[Path] | None,
    typer.Option(help="Pair file on which int8 may not lose quality; repeatable.", exists=True),
]
Tolerance = Annotated[float, typer.Option(help="chrF2++ points that may be lost on them.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("import-opus")(import_opus)
    app.command("import-ctranslate2")(import_ctranslate2_directory)
    app.command("import-argos")(import_argos_package)


def import_opus(
    folder: Annotated[
        Path, typer.Argument(help="A Marian directory, Hugging Face's or raw.", exists=True)
    ],
    bundle: BundleFolder,
    source: Sources = None,
    target: Targets = None,
    name: Name = None,
    licence: Licence = None,
    precision: Precision = "int8",
    calibration: Calibration = None,
    pairs: Pairs = None,
    tolerance: Tolerance = 0.5,
) -> None:
    """Import an OPUS-MT model, or another of Marian: Hugging Face's directory, or decoder.yml."""
    from model_export.importers.marian_hf import import_marian_hf
    from model_export.importers.marian_npz import import_marian_npz

    raw = not (folder / "config.json").is_file() and (folder / "decoder.yml").is_file()
    read = import_marian_npz if raw else import_marian_hf
    said = _Said(bundle, source, target, name, licence, precision, calibration, pairs, tolerance)
    said.write(lambda asked: nullcontext((read(folder, asked), folder)))


def import_ctranslate2_directory(
    folder: Annotated[Path, typer.Argument(help="A CTranslate2 model directory.", exists=True)],
    bundle: BundleFolder,
    source: Sources = None,
    target: Targets = None,
    name: Name = None,
    licence: Licence = None,
    precision: Precision = "int8",
    calibration: Calibration = None,
    pairs: Pairs = None,
    tolerance: Tolerance = 0.5,
) -> None:
    """Import a CTranslate2 directory with SentencePiece models in it; needs --source, --target."""
    from model_export.importers.ctranslate2_model import import_ctranslate2

    said = _Said(bundle, source, target, name, licence, precision, calibration, pairs, tolerance)
    said.write(lambda asked: nullcontext((import_ctranslate2(folder, asked), folder)))


def import_argos_package(
    package: Annotated[Path, typer.Argument(help="An .argosmodel package.", exists=True)],
    bundle: BundleFolder,
    source: Sources = None,
    target: Targets = None,
    name: Name = None,
    licence: Licence = None,
    precision: Precision = "int8",
    calibration: Calibration = None,
    pairs: Pairs = None,
    tolerance: Tolerance = 0.5,
) -> None:
    """Import a package of Argos Translate, as LibreTranslate uses them."""
    from model_export.importers.argos import import_argos

    said = _Said(bundle, source, target, name, licence, precision, calibration, pairs, tolerance)
    said.write(lambda asked: import_argos(package, asked))


class _Said:
    """What the command line says about an import."""

    def __init__(
        self,
        bundle: Path,
        sources: list[str] | None,
        targets: list[str] | None,
        name: str | None,
        licence: str | None,
        precision: Literal["int8", "float32"],
        calibration: Path | None,
        pairs: list[Path] | None,
        tolerance: float,
    ) -> None:
        if bundle.exists() and (not bundle.is_dir() or any(bundle.iterdir())):
            raise typer.BadParameter(f"{bundle} exists already")
        from model_export.importers.imported import Asked
        from model_export.importers.languages import language_code
        from model_export.importers.write import Wanted

        def codes(names: list[str] | None) -> tuple[str, ...]:
            found = {each: language_code(each) for each in names or ()}
            if None in found.values():
                raise typer.BadParameter(f"no ISO 639 codes: {', '.join(found)}")
            return tuple(code for code in found.values() if code)

        self.bundle = bundle
        self.asked = Asked(codes(sources), codes(targets), licence)
        plain = re.sub(r"[^a-z0-9.-]+", "-", (name or bundle.name).lower()).strip("-.")[:64]
        self.wanted = Wanted(
            plain or "imported", precision == "int8", calibration, tuple(pairs or ()), tolerance
        )

    def write(self, read: Reader) -> None:
        """Reads, compares, writes, and tells."""
        from model_export.importers.originals import open_original
        from model_export.importers.write import write_bundle
        from service.engine.bundle import load_bundle

        with (
            read(self.asked) as (imported, folder),
            open_original(imported, folder) as original,
        ):
            write_bundle(imported, original, self.bundle, self.wanted, typer.echo)
        manifest = load_bundle(self.bundle).manifest
        size = sum(file.bytes for file in manifest.files.values())
        typer.echo(
            f"{self.bundle}: {manifest.name}, {', '.join(map(str, manifest.directions))}, "
            f"{manifest.parameters:,} parameters, {manifest.precision}, {size / 1e6:.1f} MB"
        )
