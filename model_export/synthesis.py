"""Pairs of which a model has made one side: back-translation when that is the source side of what
is trained (Sennrich et al. 2016), distillation when it is the target side (Kim & Rush 2016). Of a
beam's hypotheses either the best goes in, or the one closest to what a person has written: their
sequence-level interpolation, for a model that should say with greedy search what is in its beam.

Translations are kept beside the output until all are there, so that a run that was stopped goes on.
What looks wrong is left out only then.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

from sacrebleu.metrics import CHRF
from tqdm import tqdm

from model_export.data.corpus import CorpusError, clean, normalised, open_text, read_pairs
from model_export.quality.evaluation import decoding_choice, opened
from service.engine.bundle import Direction
from service.engine.scheduler import SchedulerLimits
from service.errors import UnsupportedDirection
from service.text.quality import faults
from service.translation.decoding import DecodingChoice
from service.translation.request import TranslationRequest
from service.translation.result import Translation
from service.translation.translator import Translator

TEXTS_PER_REQUEST = 128
REQUESTS_AT_ONCE = 4
"""The last sentences of a request leave places free, which those of the next ones take."""
KEPT = "kept"
UNCLEAN = "too long or too unlike in length"
FAR = "too far from the other side"


def synthesise(
    bundle: Path,
    files: Sequence[Path],
    direction: Direction,
    output: Path,
    beam_size: int,
    closest: float | None = None,
) -> Counter[str]:
    """Writes a pair file whose columns are in the order of the bundle's first direction.

    `closest` takes, of all hypotheses, the one closest to the other side of the pair, if it has so
    many points of chrF++. Goes on where an earlier run of the same texts was stopped. Returns how
    many pairs are kept and how many are left out, by reason. Raises BundleError, CorpusError or
    UnsupportedDirection.
    """
    with opened(bundle, SchedulerLimits(waiting_tokens=1_000_000)) as engine:
        served = engine.manifest.directions
        if direction not in served:
            listed = ", ".join(map(str, served))
            raise UnsupportedDirection("direction", f"{bundle} translates {listed} only")
        reverse = direction.source != served[0].source
        texts = read_texts(files, column=int(reverse))
        store = output.with_name(f"{output.name}.translations")
        given = list(texts)
        left = given[done_before(store, given) :]
        decoding = decoding_choice(beam_size)
        near = None if closest is None else Closeness(texts, closest)
        if near is not None:
            decoding = replace(decoding, n_best=beam_size)
        asyncio.run(translate_into(store, Translator([engine]), left, direction, decoding, near))
    counted = write_pairs(output, read_pairs(store), direction, reverse, near)
    store.unlink()
    return counted


def read_texts(files: Sequence[Path], column: int) -> dict[str, str]:
    """The distinct texts of one column of pair files, each with the other side where it is first,
    and of all of files without tabs, each with nothing."""
    found: dict[str, str] = {}
    for text, other in chain.from_iterable(_sides(file, column) for file in files):
        found.setdefault(normalised(text), normalised(other))
    found.pop("", None)
    return found


def _sides(file: Path, column: int) -> Iterator[tuple[str, str]]:
    if not file.is_file():
        raise CorpusError(f"{file}: no such file")
    with open_text(file) as lines:
        plain = "\t" not in next(lines, "")
    if plain:
        with open_text(file) as lines:
            yield from ((line, "") for line in lines)
    else:
        yield from ((pair[column], pair[1 - column]) for pair in read_pairs(file))


class Closeness:
    """How close what a model says of a text comes to what a person has written, by chrF++.

    `least` is of its points, 0 to 100. Raises CorpusError when a text has no reference.
    """

    def __init__(self, references: Mapping[str, str], least: float) -> None:
        without = next((text for text, reference in references.items() if not reference), None)
        if without is not None:
            raise CorpusError(f"nothing to be close to: {without!r} has no other side")
        self.references, self.least = references, least
        self.chrf = CHRF(word_order=2)

    def points(self, text: str, said: str) -> float:
        """chrF++ of what is said of a text, 0 to 100."""
        return self.chrf.sentence_score(said, [self.references[text]]).score

    def closest(self, text: str, translation: Translation) -> str:
        """Of all hypotheses; of equally close ones the likeliest."""
        said = (hypothesis.text for hypothesis in translation.hypotheses)
        return max(said, key=lambda each: self.points(text, each))

    def far(self, text: str, said: str) -> bool:
        """Whether it has too few points: what a model gets wrong it should not learn once more."""
        return self.points(text, said) < self.least


def done_before(store: Path, texts: Sequence[str]) -> int:
    """How many texts an earlier run has translated; a line that was cut short goes away.

    Raises CorpusError when it were other texts.
    """
    store.parent.mkdir(parents=True, exist_ok=True)
    with store.open("a+b") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
    done = [source for source, _ in read_pairs(store)]
    if done != texts[: len(done)]:
        raise CorpusError(f"{store}: begun with other texts; delete it")
    return len(done)


async def translate_into(
    store: Path,
    translator: Translator,
    texts: Sequence[str],
    direction: Direction,
    decoding: DecodingChoice,
    near: Closeness | None = None,
) -> None:
    """Appends each text and its translation, in the order of the texts."""

    async def translate(some: Sequence[str]) -> list[str]:
        request = TranslationRequest(
            tuple(some), direction.source, direction.target, decoding=decoding
        )
        result = await translator.translate(request)
        said = (
            near.closest(text, answer) if near is not None else answer.hypotheses[0].text
            for text, answer in zip(some, result.translations, strict=True)
        )
        return [f"{text}\t{normalised(each)}\n" for text, each in zip(some, said, strict=True)]

    starts = range(0, len(texts), TEXTS_PER_REQUEST)
    tasks = (asyncio.create_task(translate(texts[i : i + TEXTS_PER_REQUEST])) for i in starts)
    running = deque(islice(tasks, REQUESTS_AT_ONCE))
    progress = tqdm(total=len(texts), desc=str(direction), unit="text")
    with progress, store.open("a", encoding="utf-8", newline="\n") as file:
        while running:
            lines = await running.popleft()
            running.extend(islice(tasks, 1))
            file.writelines(lines)
            file.flush()
            progress.update(len(lines))


def write_pairs(
    output: Path,
    made: Iterable[tuple[str, str]],
    direction: Direction,
    reverse: bool,
    near: Closeness | None = None,
) -> Counter[str]:
    """Writes each text and its translation, or the reverse, where nothing looks wrong."""
    counted = Counter[str]()

    def good() -> Iterator[str]:
        for source, translation in made:
            wrong = faults(source, translation, (direction.source, direction.target))
            pair = clean(source, translation)
            if wrong or pair is None:
                counted[wrong[0] if wrong else UNCLEAN] += 1
                continue
            if near is not None and near.far(source, translation):
                counted[FAR] += 1
                continue
            counted[KEPT] += 1
            yield "\t".join(reversed(pair) if reverse else pair) + "\n"

    partial = output.with_name(f"partial-{output.name}")
    with open_text(partial, "wt") as file:
        file.writelines(good())
    partial.replace(output)
    return counted
