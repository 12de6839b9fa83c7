"""`seq2serve`: serve the models over HTTP, or translate on the spot."""

import asyncio
import io
import json
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from service import logs
from service.access.keys import KeyLimits, Scope, new_key
from service.app import create_app, open_repository
from service.engine.trial import try_out
from service.errors import BundleError, Seq2ServeError
from service.metrics import Metrics
from service.settings import Settings
from service.translation.decoding import DecodingChoice
from service.translation.request import TranslationRequest
from service.translation.result import TranslationResult
from service.translation.translator import Translator

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)

Models = Annotated[Path | None, typer.Option(help="Directory of model bundles (models).")]


def _settings(**given: Any) -> Settings:
    """Flags win over the environment; a flag that was not given leaves it alone."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        for fault in error.errors():
            name = ".".join(map(str, fault["loc"]))
            typer.echo(f"error: setting {name}: {fault['msg']}", err=True)
        raise typer.Exit(2) from error


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address (127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="Port (8000); 0 takes a free one.")] = None,
    models: Models = None,
    workers: Annotated[int | None, typer.Option(help="Decoding threads a model (cores).")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning, error.")] = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C; requests that were accepted are still answered.

    Every setting can also come from the environment, as SEQ2SERVE_PORT and so on.
    """
    import uvicorn

    from service.server import server_config

    settings = _settings(host=host, port=port, models=models, workers=workers, log_level=log_level)
    logs.configure(settings.log_format, settings.log_level)
    # uvicorn drains on SIGTERM and then raises it once more; to be told to stop is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        application = create_app(settings)
    except Seq2ServeError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    server = uvicorn.Server(server_config(application, settings))
    server.run()
    if not server.started:
        raise typer.Exit(3)


@app.command()
def translate(
    texts: Annotated[list[str] | None, typer.Argument(help="Texts; by default stdin.")] = None,
    to: Annotated[str, typer.Option(help="Language to translate into.")] = "ko",
    source: Annotated[str | None, typer.Option("--from", help="Language of the texts.")] = None,
    model: Annotated[str | None, typer.Option(help="Name of the model.")] = None,
    beam_size: Annotated[int | None, typer.Option(min=1, help="1 is greedy.")] = None,
    models: Models = None,
) -> None:
    """Translate texts, or the lines of stdin, without a server."""
    settings = _settings(models=models)
    if beam_size is not None and beam_size > settings.max_beam_size:
        raise typer.BadParameter(f"beam_size {beam_size} is above {settings.max_beam_size}")
    lines = _readable(texts) if texts else _lines_of_stdin()
    repository = open_repository(settings, Metrics())
    choice = DecodingChoice(beam_size=beam_size)

    async def translate_all() -> TranslationResult:
        await repository.start()
        translator = Translator(repository.served)
        try:
            language = source or _only_source(translator, to)
            request = TranslationRequest(tuple(lines), language, to, model, choice)
            return await translator.translate(request)
        finally:
            await repository.close()

    try:
        result = asyncio.run(translate_all())
    except Seq2ServeError as error:
        for fault in (*repository.faults, str(error)):
            typer.echo(f"error: {fault}", err=True)
        raise typer.Exit(1) from error
    for translation in result.translations:
        typer.echo(translation.hypotheses[0].text)


def _readable(texts: list[str]) -> list[str]:
    """Arguments that are not UTF-8 arrive with surrogates in them."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:
        raise typer.BadParameter("a text is not UTF-8") from error
    return texts


def _lines_of_stdin() -> list[str]:
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="strict")  # whatever the locale says
    try:
        return [line.rstrip("\n") for line in sys.stdin]
    except UnicodeDecodeError as error:
        raise typer.BadParameter("stdin is not UTF-8") from error


def _only_source(translator: Translator, target: str) -> str:
    """The first language that is translated into `target`; en for ko in an en-ko model."""
    for each in translator.catalogue.served.defaults:
        for direction in each.manifest.directions:
            if direction.target == target:
                return direction.source
    return "en" if target != "en" else "ko"


@app.command()
def key(
    name: Annotated[str, typer.Argument(help="Whose it is; for counting and for the log.")],
    scope: Annotated[list[Scope] | None, typer.Option(help="translate, or admin; both.")] = None,
    requests_per_minute: Annotated[int | None, typer.Option(min=1)] = None,
    characters_per_minute: Annotated[int | None, typer.Option(min=1)] = None,
    characters_per_month: Annotated[int | None, typer.Option(min=1)] = None,
) -> None:
    """Make an API key: itself on stderr, once and for all; its line for the file on stdout."""
    limits = KeyLimits(requests_per_minute, characters_per_minute, characters_per_month)
    try:
        secret, line = new_key(name, scope or [Scope.TRANSLATE], limits)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    typer.echo(f"key: {secret}", err=True)
    typer.echo(line)


@app.command()
def check(bundles: Annotated[list[Path], typer.Argument(help="Directories.")]) -> None:
    """Try bundles out in a process of their own, as the service does; print what is wrong."""
    refused = False
    for bundle in bundles:
        try:
            try_out(bundle)
        except (BundleError, OSError) as error:
            refused = True
            typer.echo(f"error: {error}", err=True)
        else:
            typer.echo(f"{bundle} is sound")
    raise typer.Exit(1 if refused else 0)


@app.command()
def openapi() -> None:
    """Print the OpenAPI description as JSON."""
    description = create_app(Settings()).openapi()
    typer.echo(json.dumps(description, ensure_ascii=False, indent=1, sort_keys=True))


if __name__ == "__main__":
    app()
