"""Pairs of which a model has made one side: back-translation when that is the source side of what
is trained (Sennrich et al. 2016), distillation when it is the target side (Kim & Rush 2016).

Translations are kept beside the output until all are there, so that a run that was stopped goes on.
What looks wrong is left out only then.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from model_export.data.corpus import CorpusError, clean, normalised, open_text, read_pairs
from model_export.quality.evaluation import decoding_choice, opened
from service.engine.bundle import Direction
from service.engine.scheduler import SchedulerLimits
from service.errors import UnsupportedDirection
from service.text.quality import faults
from service.translation.decoding import DecodingChoice
from service.translation.request import TranslationRequest
from service.translation.translator import Translator

TEXTS_PER_REQUEST = 128
REQUESTS_AT_ONCE = 4
"""The last sentences of a request leave places free, which those of the next ones take."""
KEPT = "kept"
UNCLEAN = "too long or too unlike in length"


def synthesise(
    bundle: Path, files: Sequence[Path], direction: Direction, output: Path, beam_size: int
) -> Counter[str]:
    """Writes a pair file whose columns are in the order of the bundle's first direction.

    Goes on where an earlier run of the same texts was stopped. Returns how many pairs are kept
    and how many are left out, by reason. Raises BundleError, CorpusError or UnsupportedDirection.
    """
    with opened(bundle, SchedulerLimits(waiting_tokens=1_000_000)) as engine:
        served = engine.manifest.directions
        if direction not in served:
            listed = ", ".join(map(str, served))
            raise UnsupportedDirection("direction", f"{bundle} translates {listed} only")
        reverse = direction.source != served[0].source
        texts = read_texts(files, column=int(reverse))
        store = output.with_name(f"{output.name}.translations")
        left = texts[done_before(store, texts) :]
        choice = decoding_choice(beam_size)
        asyncio.run(translate_into(store, Translator([engine]), left, direction, choice))
    counted = write_pairs(output, read_pairs(store), direction, reverse)
    store.unlink()
    return counted


def read_texts(files: Sequence[Path], column: int) -> list[str]:
    """The distinct texts of one column of pair files, or of all of a file without tabs."""
    found: dict[str, None] = {}
    for file in files:
        if not file.is_file():
            raise CorpusError(f"{file}: no such file")
        with open_text(file) as lines:
            plain = "\t" not in next(lines, "")
        if plain:
            with open_text(file) as lines:
                found |= dict.fromkeys(map(normalised, lines))
        else:
            found |= dict.fromkeys(normalised(pair[column]) for pair in read_pairs(file))
    found.pop("", None)
    return list(found)


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
) -> None:
    """Appends each text and its translation, in the order of the texts."""

    async def translate(some: Sequence[str]) -> list[str]:
        request = TranslationRequest(
            tuple(some), direction.source, direction.target, decoding=decoding
        )
        result = await translator.translate(request)
        said = (normalised(each.hypotheses[0].text) for each in result.translations)
        return [f"{text}\t{translation}\n" for text, translation in zip(some, said, strict=True)]

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
    output: Path, made: Iterable[tuple[str, str]], direction: Direction, reverse: bool
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
            counted[KEPT] += 1
            yield "\t".join(reversed(pair) if reverse else pair) + "\n"

    partial = output.with_name(f"partial-{output.name}")
    with open_text(partial, "wt") as file:
        file.writelines(good())
    partial.replace(output)
    return counted
