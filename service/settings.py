"""All settings of the service, from `SEQ2SERVE_*` environment variables or given by name.

Built by the command line and read by the composition root; nothing else knows of it.
"""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]


def available_cores() -> int:
    """The cores that this process may use, which a container can make fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Settings(BaseSettings):
    """Raises pydantic.ValidationError that names every setting which is out of range."""

    model_config = SettingsConfigDict(env_prefix="SEQ2SERVE_", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 is every address.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    models: Path = Field(
        Path("models"),
        description="Directory of model bundles: each sub-directory that holds a manifest.json.",
    )
    default_model: str = Field(
        "en-ko-transformer",
        description="Model to prefer, if it is loaded, when several serve a direction.",
    )
    models_watch_seconds: float = Field(
        0,
        ge=0,
        description="How often to look for bundles that are new, changed or gone; 0 is never.",
    )
    models_bytes: int = Field(
        0,
        ge=0,
        description="Memory for loaded bundles, about; those that were asked for longest ago make "
        "room for others and are loaded again when they are asked for. 0 is no limit.",
    )
    workers: int = Field(
        default_factory=available_cores,
        ge=1,
        description="Decoding threads for each model; by default the number of cores.",
    )
    threads: int = Field(
        1,
        ge=1,
        description="Threads that work on one step of a worker; several workers of one thread "
        "each get more done.",
    )
    max_texts: int = Field(1000, ge=1, description="Most texts in one request.")
    max_characters: int = Field(
        100_000, ge=1, description="Most characters in one request, all its texts together."
    )
    max_sentences: int = Field(
        10_000, ge=1, description="Most sentences in one request, all its texts together."
    )
    max_body_bytes: int = Field(
        1_048_576, ge=1, description="Largest request body, in bytes; a larger one is not read."
    )
    max_file_bytes: int = Field(10_485_760, ge=1, description="Largest document, in bytes.")
    documents: int = Field(
        100, ge=1, description="Most documents that are being translated or wait to be fetched."
    )
    documents_bytes: int = Field(
        67_108_864, ge=1, description="Most bytes of all these documents together."
    )
    documents_seconds: float = Field(
        3600.0, gt=0, description="How long a translated document is kept."
    )
    max_seconds: float = Field(
        300.0, gt=0, description="Longest time for a request; then the answer is a 504."
    )
    head_seconds: float = Field(
        10.0, gt=0, description="Longest time for the headers of a request to arrive."
    )
    body_seconds: float = Field(
        30.0, gt=0, description="Longest time for the body of a request to arrive."
    )
    read_seconds: float = Field(
        60.0, gt=0, description="Longest time for a client to take a part of its answer."
    )
    max_beam_size: int = Field(8, ge=1, description="Largest beam_size that a request may ask for.")
    second_tries: bool = Field(
        True, description="Whether a sentence that cannot be right is decoded a second time."
    )
    pivot: bool = Field(
        False,
        description="Whether a direction without a model goes by way of a language that two models "
        "share.",
    )
    batch_tokens: int = Field(
        4096,
        ge=1,
        description="Most source tokens that a worker decodes side by side, padding included.",
    )
    batch_rows: int = Field(
        128, ge=1, description="Most hypotheses that a worker decodes side by side."
    )
    waiting_tokens: int = Field(
        100_000,
        ge=1,
        description="Source tokens that may wait for a batch before new requests get a 429.",
    )
    waiting_sentences: int = Field(20_000, ge=1, description="Sentences that may wait, likewise.")
    sentence_cache_bytes: int = Field(
        33_554_432,
        ge=0,
        description="Memory for finished sentences, for each model; 0 has every one decoded anew.",
    )
    runtime_bytes: int = Field(
        4_294_967_296,
        ge=1,
        description="Memory that models may take while they load and run, all together; what "
        "would exceed it fails. A bundle whose state may come to more is refused.",
    )
    trial: bool = Field(
        True,
        description="Whether a bundle is first opened in a process of its own, with bounded "
        "memory and time.",
    )
    keys: Path | None = Field(
        None, description="File of API keys; without it everybody may translate."
    )
    data: Path | None = Field(
        None,
        description="Directory for what outlives the process, such as the usage of keys and stored "
        "glossaries, and for translated documents; without it that is kept in memory.",
    )
    cors_origins: tuple[str, ...] = Field(
        (),
        description="Web sites whose scripts may call, as a JSON list such as "
        '["https://example.org"]; ["*"] is every one.',
    )
    libretranslate_origins: tuple[str, ...] = Field(
        ("*",),
        description="Likewise, for the routes of LibreTranslate's API; by default every one, as "
        "there.",
    )
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port of its own for /metrics, which then is nowhere else.",
    )
    page: bool = Field(True, description="Whether the web page is served at /.")
    log_level: LogLevel = Field("info", description="How much to log.")
    log_format: LogFormat = Field(
        "text", description="text for people, json for machines: one object a line."
    )
    log_texts: bool = Field(
        False, description="Whether the log has what was translated, and into what; json only."
    )
    tracing: str | None = Field(
        None,
        description="Address of an OpenTelemetry collector, such as "
        "http://localhost:4318/v1/traces; needs seq2serve[tracing].",
    )
