"""The commands that import other people's models: `import-opus`, `import-ctranslate2`,
`import-argos`. Each reads, checks, compares with the original library, makes int8, and writes a
bundle; or says everything that stands in the way, and writes nothing.
"""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from model_export.importers.imported import Asked, Imported
    from model_export.importers.write import Wanted

Reader = Callable[[Path, "Asked"], AbstractContextManager[tuple["Imported", Path]]]
"""What was read, and the folder that the original library can read."""

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


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of files that can be imported, by a command of its own."""

    command: str
    help: str
    files: str
    """What its argument is, for people."""
    read: Reader


def _read_opus(folder: Path, asked: "Asked") -> AbstractContextManager[tuple["Imported", Path]]:
    from model_export.importers.marian_hf import import_marian_hf
    from model_export.importers.marian_npz import import_marian_npz

    raw = not (folder / "config.json").is_file() and (folder / "decoder.yml").is_file()
    return nullcontext(((import_marian_npz if raw else import_marian_hf)(folder, asked), folder))


def _read_ctranslate2(
    folder: Path, asked: "Asked"
) -> AbstractContextManager[tuple["Imported", Path]]:
    from model_export.importers.ctranslate2_model import import_ctranslate2

    return nullcontext((import_ctranslate2(folder, asked), folder))


def _read_argos(package: Path, asked: "Asked") -> AbstractContextManager[tuple["Imported", Path]]:
    from model_export.importers.argos import import_argos

    return import_argos(package, asked)


FORMATS = (
    Format(
        "import-opus",
        "Import an OPUS-MT model, or another of Marian: Hugging Face's directory, or decoder.yml.",
        "A Marian directory, Hugging Face's or raw.",
        _read_opus,
    ),
    Format(
        "import-ctranslate2",
        "Import a CTranslate2 directory with SentencePiece models in it; needs --source, --target.",
        "A CTranslate2 model directory.",
        _read_ctranslate2,
    ),
    Format(
        "import-argos",
        "Import a package of Argos Translate, as LibreTranslate uses them.",
        "An .argosmodel package.",
        _read_argos,
    ),
)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for each in FORMATS:
        app.command(each.command, help=each.help)(_command(each))


def _command(kind: Format) -> Callable[..., None]:
    """The command of a format: all of them take the same options."""

    def command(
        files: Annotated[Path, typer.Argument(help=kind.files, exists=True)],
        bundle: Annotated[Path, typer.Argument(help="The bundle directory to write.")],
        source: Sources = None,
        target: Targets = None,
        name: Name = None,
        licence: Licence = None,
        precision: Precision = "int8",
        calibration: Calibration = None,
        pairs: Pairs = None,
        tolerance: Tolerance = 0.5,
    ) -> None:
        if bundle.exists() and (not bundle.is_dir() or any(bundle.iterdir())):
            raise typer.BadParameter(f"{bundle} exists already")
        from model_export.importers.imported import Asked
        from model_export.importers.write import Wanted

        asked = Asked(_codes(source), _codes(target), licence)
        plain = re.sub(r"[^a-z0-9.-]+", "-", (name or bundle.name).lower()).strip("-.")[:64]
        wanted = Wanted(
            plain or "imported", precision == "int8", calibration, tuple(pairs or ()), tolerance
        )
        with kind.read(files, asked) as (imported, folder):
            _write(imported, folder, bundle, wanted)

    return command


def _codes(names: list[str] | None) -> tuple[str, ...]:
    """ISO 639 codes of the languages on the command line."""
    from model_export.importers.languages import language_code

    found = {each: language_code(each) for each in names or ()}
    if None in found.values():
        raise typer.BadParameter(f"no ISO 639 codes: {', '.join(found)}")
    return tuple(code for code in found.values() if code)


def _write(imported: "Imported", folder: Path, bundle: Path, wanted: "Wanted") -> None:
    """Compares, writes, and tells."""
    from model_export.importers.originals import open_original
    from model_export.importers.write import write_bundle
    from service.engine.bundle import load_bundle

    with open_original(imported, folder) as original:
        write_bundle(imported, original, bundle, wanted, typer.echo)
    manifest = load_bundle(bundle).manifest
    size = sum(file.bytes for file in manifest.files.values())
    typer.echo(
        f"{bundle}: {manifest.name}, {', '.join(map(str, manifest.directions))}, "
        f"{manifest.parameters:,} parameters, {manifest.precision}, {size / 1e6:.1f} MB"
    )
