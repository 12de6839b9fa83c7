"""The model card: a bundle's README, written from its manifest."""

from collections.abc import Iterator
from pathlib import Path

from service.engine.bundle import MODEL_CARD, Manifest, Provenance, Score, write_manifest

CHALLENGE = "challenge"
"""What stands for the data in a score of the challenge sentences."""


def write_described(bundle: Path, manifest: Manifest) -> None:
    """Writes the manifest into a bundle's folder, and the card that says the same to people."""
    write_manifest(bundle, manifest)
    (bundle / MODEL_CARD).write_text(model_card(manifest), "utf-8")


def model_card(manifest: Manifest) -> str:
    """Markdown for people: what the model is, where it comes from, how good it is."""
    return "\n".join(_lines(manifest)) + "\n"


def _lines(manifest: Manifest) -> Iterator[str]:
    directions = ", ".join(map(str, manifest.directions))
    provenance = manifest.provenance
    yield f"# {manifest.name} {manifest.version}"
    yield ""
    yield f"A translation model ({manifest.architecture}) for {directions}."
    yield ""
    yield f"- parameters: {manifest.parameters:,}; vocabulary: {manifest.vocabulary.size:,} pieces"
    yield f"- precision: {manifest.precision}"
    if manifest.shortlist is not None:
        yield "- vocabulary shortlist: a sentence chooses among pieces likely for its source"
    yield (
        f"- longest source: {manifest.limits.max_source_length} pieces; "
        f"longest target: {manifest.limits.max_target_length}"
    )
    if (origin := provenance.origin) is not None:
        yield f"- imported from {origin.format} `{origin.name}`, licence: {origin.licence}"
        yield f"- SHA-256 of its weights: `{origin.sha256}`"
    else:
        yield (
            f"- training: recipe `{provenance.recipe}`, {provenance.updates:,} updates, "
            f"{provenance.target_tokens:,} target tokens"
        )
    for spec in manifest.confidence:
        yield (
            f"- confidence {spec.direction}: that chrF2 is {spec.threshold:g} or more; expected "
            f"calibration error {spec.error:.3f} on {spec.sentences:,} sentences"
        )
    yield ""
    if manifest.scores:
        yield from _results(manifest.scores)
    if provenance.origin is None:
        yield from _made_here(provenance)


def _results(scores: tuple[Score, ...]) -> Iterator[str]:
    yield "## Scores"
    yield ""
    yield "Printed by `model-export evaluate`, through the service's own decoder."
    yield ""
    challenge = tuple(score for score in scores if score.data == CHALLENGE)
    yield from _score_table(tuple(s for s in scores if s.data != CHALLENGE))
    if challenge:
        yield "## Challenge sentences"
        yield ""
        yield "Printed by `model-export challenge`: the share, in percent, that has passed a check."
        yield ""
        yield from _challenge_table(challenge)


def _made_here(provenance: Provenance) -> Iterator[str]:
    yield "## Data and licences"
    yield ""
    yield "| corpus | pairs | licence |"
    yield "|---|---:|---|"
    for data in provenance.data:
        yield f"| {data.name} | {data.pairs:,} | {data.licence} |"
    yield ""
    yield "The weights are derived from these texts; keep to their licences when you pass them on."
    yield ""
    yield "## Limits"
    yield ""
    yield (
        "A small model, trained mostly on short everyday sentences. It makes mistakes with rare "
        "words, names, numbers and long sentences. Do not rely on it where a wrong translation "
        "does harm."
    )


def _score_table(scores: tuple[Score, ...]) -> Iterator[str]:
    metrics = list(dict.fromkeys(score.metric for score in scores))
    yield f"| data | direction | decoding | {' | '.join(metrics)} |"
    yield "|---|---|---|" + "---:|" * len(metrics)
    rows: dict[tuple[str, str, str], dict[str, float]] = {}
    for score in scores:
        rows.setdefault((score.data, score.direction, score.decoding), {})[score.metric] = (
            score.value
        )
    for row, values in rows.items():
        cells = " | ".join(f"{values[m]:.1f}" if m in values else "" for m in metrics)
        yield f"| {' | '.join(row)} | {cells} |"
    yield ""
    for metric, signature in dict.fromkeys((s.metric, s.signature) for s in scores):
        yield f"- {metric}: `{signature}`"
    yield ""


def _challenge_table(scores: tuple[Score, ...]) -> Iterator[str]:
    columns = list(dict.fromkeys((score.direction, score.decoding) for score in scores))
    yield f"| check | {' | '.join(map(', '.join, columns))} |"
    yield "|---|" + "---:|" * len(columns)
    values = {(s.metric, s.direction, s.decoding): f"{s.value:.1f}" for s in scores}
    for check in dict.fromkeys(score.metric for score in scores):
        yield f"| {check} | {' | '.join(values.get((check, *c), '') for c in columns)} |"
    yield ""
    for signature in dict.fromkeys(score.signature for score in scores):
        yield f"- `{signature}`"
    yield ""
