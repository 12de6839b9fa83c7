"""A look at each decoded sentence: one that cannot be right is decoded once more, with other
options, and the better one is kept. Knows sentences, not the texts that they are of."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from service.engine.bundle import Direction
from service.engine.engine import Engine
from service.engine.request import Decoded, FinishReason
from service.engine.search import SearchInput
from service.engine.waiting import Standing
from service.text.quality import Fault, faults, severity
from service.translation.decoding import second_try

MANY = 20
"""Sentences. More are judged in another thread, so that the event loop only waits."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A decoded sentence and what is still wrong with it."""

    decoded: Decoded
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Review:
    """The look at the sentences of one direction."""

    engine: Engine
    direction: Direction
    second_tries: bool = True
    """Without them bad sentences are only named."""

    async def of(
        self, sentences: Sequence[str], inputs: Sequence[SearchInput], decoded: Sequence[Decoded]
    ) -> list[Reviewed]:
        """Judges the sentences, and gives those that are bad one more try. Raises EngineFailed."""
        if len(sentences) > MANY:
            found = await asyncio.to_thread(self._judge_all, sentences, decoded)
        else:
            found = self._judge_all(sentences, decoded)
        bad = [i for i, each in enumerate(found) if each.faults]
        tried = await self._try_again(inputs, bad) if self.second_tries else {}
        for i, second in tried.items():
            judged = self.judge(sentences[i], _after(decoded[i], second))
            better = severity(judged.faults) < severity(found[i].faults)
            self.engine.metrics.second_try(better)
            if better:
                found[i] = judged
        for i in bad:
            for fault in found[i].faults:
                self.engine.metrics.quality_warning(fault)
        return found

    def judge(self, sentence: str, decoded: Decoded) -> Reviewed:
        """What is wrong with the best hypothesis."""
        best = decoded.hypotheses[0]
        translation = self.engine.vocabulary.decode(best.ids)
        languages = self.direction.source, self.direction.target
        cut_off = best.finish_reason is FinishReason.LENGTH
        return Reviewed(decoded, faults(sentence, translation, languages, cut_off))

    def _judge_all(self, sentences: Sequence[str], decoded: Sequence[Decoded]) -> list[Reviewed]:
        return [self.judge(*pair) for pair in zip(sentences, decoded, strict=True)]

    async def _try_again(
        self, inputs: Sequence[SearchInput], bad: Sequence[int]
    ) -> dict[int, Decoded]:
        """Decodes some sentences with other options -> results by place."""
        beam_size = self.engine.manifest.decoding.beam_size
        tries = {
            i: replace(inputs[i], options=other, progress=None)
            for i in bad
            if (other := second_try(inputs[i].options, beam_size)) is not None
        }
        # Never turned away, or an answer would depend on what else the server does.
        decoded = await self.engine.decode(list(tries.values()), Standing.ACCEPTED) if tries else []
        return dict(zip(tries, decoded, strict=True))


def _after(first: Decoded, second: Decoded) -> Decoded:
    """The second one, with the seconds of both."""
    return replace(
        second,
        queue_seconds=first.queue_seconds + second.queue_seconds,
        encode_seconds=first.encode_seconds + second.encode_seconds,
        decode_seconds=first.decode_seconds + second.decode_seconds,
    )
