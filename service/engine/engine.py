"""One model, ready to translate sentences: bundle, vocabulary, scheduler and workers."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from service.engine.bundle import Manifest, load_bundle
from service.engine.model import StepModel
from service.engine.model_loader import open_model
from service.engine.request import Decoded, DecodingOptions
from service.engine.scheduler import Scheduler, SchedulerLimits
from service.engine.search import SearchInput
from service.engine.sentence_cache import SentenceCache
from service.engine.state_size import largest_state
from service.engine.supervisor import BACKOFF, Backoff, Ended, Supervisor
from service.engine.vocabulary import Vocabulary, load_vocabulary
from service.engine.waiting import Standing, Ticket
from service.engine.worker import Worker
from service.errors import BundleError, EngineFailed
from service.metrics import Metrics, ModelMetrics, Readings


class Engine:
    """Starts its workers at once; `close` ends them after the work that waits is done. A worker
    that dies is replaced.

    `cache_bytes` is the memory for finished sentences; without any, every sentence is decoded, as
    measurements need it.
    """

    def __init__(
        self,
        manifest: Manifest,
        vocabulary: Vocabulary,
        model: StepModel[Any],
        limits: SchedulerLimits,
        metrics: ModelMetrics,
        workers: int = 1,
        cache_bytes: int = 0,
        backoff: Backoff = BACKOFF,
    ) -> None:
        self.manifest = manifest
        self.vocabulary = vocabulary
        self.metrics = metrics
        self.scheduler = Scheduler(limits, workers)
        special_ids = manifest.vocabulary.bos_id, manifest.vocabulary.eos_id

        def hire(number: int, ended: Ended) -> Worker:
            name = f"{manifest.name}-{number}"
            return Worker(name, number, model, self.scheduler, special_ids, metrics, ended)

        self.supervisor = Supervisor(manifest.name, hire, workers, self.scheduler, metrics, backoff)
        self.supervisor.start()
        self._submit = self.scheduler.submit
        self._cache: SentenceCache | None = None
        if cache_bytes:
            self._cache = SentenceCache(cache_bytes, self.scheduler.submit, metrics)
            self._submit = self._cache.submit
        metrics.watch(self.read)

    @classmethod
    def load(
        cls,
        path: Path,
        limits: SchedulerLimits,
        metrics: Metrics,
        workers: int,
        threads: int = 1,
        cache_bytes: int = 0,
    ) -> "Engine":
        """Opens a bundle and warms it up: `workers` decode side by side, on each step of one work
        `threads`. Raises BundleError if it is not sound."""
        bundle = load_bundle(path)
        state = largest_state(bundle.manifest, limits)
        if state > limits.state_bytes:
            fault = f"its state may take {state} bytes in a worker; at most {limits.state_bytes}"
            raise BundleError(str(path), [fault])
        vocabulary = load_vocabulary(bundle)
        model = open_model(bundle, threads)
        named = metrics.for_model(bundle.manifest.name, bundle.manifest.version)
        engine = cls(bundle.manifest, vocabulary, model, limits, named, workers, cache_bytes)
        try:
            engine.warm_up()
        except EngineFailed as error:
            engine.close()
            raise BundleError(str(path), ["its first sentence cannot be decoded"]) from error
        return engine

    def warm_up(self) -> None:
        """Decodes a few pieces, greedy and beam, so that the first caller finds memory ready."""
        source = self.vocabulary.encode_source("", self.manifest.directions[0].target)
        for beam_size in {1, self.manifest.decoding.beam_size}:
            options = DecodingOptions(beam_size=beam_size, max_target_length=4)
            for ticket in self.scheduler.submit([SearchInput(source, options)]):
                ticket.future.result()

    def submit(
        self, inputs: Sequence[SearchInput], standing: Standing = Standing.INTERACTIVE
    ) -> list[Ticket]:
        """A ticket for each sentence, in their order. What is not in the cache is queued.

        For that it raises Overloaded, or EngineFailed once the engine has stopped.
        """
        return self._submit(inputs, standing)

    async def decode(
        self, inputs: Sequence[SearchInput], standing: Standing = Standing.INTERACTIVE
    ) -> list[Decoded]:
        """As `submit`, and waits. To cancel it takes the sentences out of the queue and out of
        what runs."""
        tickets = self.submit(inputs, standing)
        try:
            return await asyncio.gather(*(asyncio.wrap_future(t.future) for t in tickets))
        finally:
            for ticket in tickets:
                if ticket.future.cancel():
                    self.metrics.abandoned()

    @property
    def healthy(self) -> bool:
        """Whether it takes work and all workers are alive."""
        return self.scheduler.open and self.scheduler.complete

    def read(self) -> Readings:
        """What waits, runs and is kept now."""
        running = [worker.running for worker in self.supervisor.workers]
        sentences, tokens = (sum(each) for each in zip(*running, strict=True))
        held = self._cache.held if self._cache else (0, 0)
        return Readings(*self.scheduler.waiting, sentences, tokens, *held)

    def close(self) -> None:
        """Answers what waits, then ends the workers."""
        self.scheduler.close()
        self.supervisor.join()
        self.metrics.unwatch(self.read)
