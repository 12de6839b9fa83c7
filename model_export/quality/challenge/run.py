"""Lets a bundle translate the challenge sentences, and counts what has passed."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_export.model_card import CHALLENGE
from model_export.quality.challenge.checks import SOUND, Check, judge
from model_export.quality.challenge.sentences import Sentence, digest, load_sentences
from model_export.quality.evaluation import decoding_choice, decoding_label, opened, translate_all
from service.engine.bundle import Direction, Score
from service.translation.translator import Translator

ALL_SOUND = "usable"
ALL_PASSED = "all checks"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One sentence, what became of it, and the checks that apply to it."""

    sentence: Sentence
    translation: str
    passed: dict[Check, bool]

    @property
    def failed(self) -> list[Check]:
        """The checks that it has not passed."""
        return [check for check, passed in self.passed.items() if not passed]


@dataclass(frozen=True, slots=True)
class Share:
    """How many of the sentences that something applies to have passed."""

    passed: int
    of: int

    @property
    def percent(self) -> float:
        """Rounded as a score."""
        return round(100 * self.passed / self.of, 1)


def run_challenge(bundle: Path, beam_size: int) -> Iterator[tuple[Direction, list[Outcome]]]:
    """All sentences of each of the bundle's directions.

    Raises BundleError, or ChallengeError when a direction has no list.
    """
    with opened(bundle) as engine:
        lists = [(d, load_sentences(d)) for d in engine.manifest.directions]
        translator, choice = Translator([engine]), decoding_choice(beam_size)
        for direction, sentences in lists:
            texts = [sentence.source for sentence in sentences]
            said = asyncio.run(translate_all(translator, texts, direction, choice))
            yield direction, outcomes(sentences, said, direction)


def outcomes(
    sentences: Sequence[Sentence], translations: Sequence[str], direction: Direction
) -> list[Outcome]:
    """The checked translations, in the order of the sentences."""
    return [
        Outcome(sentence, translation, judge(sentence, translation, direction))
        for sentence, translation in zip(sentences, translations, strict=True)
    ]


def shares(found: Sequence[Outcome]) -> dict[str, Share]:
    """By check, in the order of the checks; then the sentences that are usable, and those that
    have passed everything."""
    counted = {}
    for check in Check:
        applied = [outcome.passed[check] for outcome in found if check in outcome.passed]
        if applied:
            counted[str(check)] = Share(sum(applied), len(applied))
    usable = sum(all(outcome.passed[check] for check in SOUND) for outcome in found)
    counted[ALL_SOUND] = Share(usable, len(found))
    counted[ALL_PASSED] = Share(sum(not outcome.failed for outcome in found), len(found))
    return counted


def table(results: dict[Direction, list[Outcome]]) -> str:
    """Markdown: a row for each check, a column for each direction."""
    columns = [shares(found) for found in results.values()]
    lines = [
        f"| check | {' | '.join(map(str, results))} |",
        "|---|" + "---:|" * len(results),
    ]
    for name in dict.fromkeys(name for column in columns for name in column):
        cells = (
            f"{share.percent:.1f} % of {share.of}" if (share := column.get(name)) else ""
            for column in columns
        )
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def failures(found: Sequence[Outcome]) -> Iterator[str]:
    """A paragraph for each sentence that has failed something."""
    for outcome in found:
        if outcome.failed:
            yield (
                f"[{outcome.sentence.topic}] {', '.join(outcome.failed)}\n"
                f"  {outcome.sentence.source}\n  {outcome.translation}"
            )


def as_scores(results: dict[Direction, list[Outcome]], beam_size: int) -> Iterator[Score]:
    """Percentages for the manifest; the signature names the lists by their content."""
    signature = f"unit:percent|lists:{digest(list(results))}"
    label = decoding_label(decoding_choice(beam_size))
    for direction, found in results.items():
        for name, share in shares(found).items():
            yield Score(CHALLENGE, str(direction), label, name, share.percent, signature)
