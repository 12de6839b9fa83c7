"""From pair files to a served bundle, one subcommand a stage, in this order:
tokenizer, train, export, quantize, verify, evaluate, challenge, calibrate. `compare` sets several
bundles side by side, `shortlist` lets an int8 bundle score fewer pieces, `synthesise` makes pairs.
`import-opus`, `import-ctranslate2` and `import-argos` make bundles of other people's models.

A recipe (model_export/recipes/*.toml) says what is trained on what; the run folder holds all that
a run makes; the bundle folder is what `seq2serve serve` loads.
"""

import typer

from model_export.commands import importing, int8, quality, training
from model_export.errors import ModelExportError
from service.errors import Seq2ServeError

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
for commands in (training, int8, quality, importing):
    commands.register(app)


def main() -> None:
    """Runs the command line; an error that the user can mend is one line, not a traceback."""
    try:
        app()
    except (ModelExportError, Seq2ServeError) as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
