"""A thread that decodes batches and delivers each sentence as soon as it is finished."""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import InvalidStateError
from typing import Any

from service.engine.model import StepModel, forced_alignment
from service.engine.request import Decoded, Hypothesis
from service.engine.scheduler import Scheduler, Ticket
from service.engine.search import search
from service.errors import EngineFailed
from service.metrics import ModelMetrics

logger = logging.getLogger(__name__)


class Worker(threading.Thread):
    """Lives until its scheduler is closed and empty. Whatever happens, no waiter is forgotten:
    a batch that fails fails its sentences, a worker that dies fails all that wait.
    """

    def __init__(
        self,
        name: str,
        model: StepModel[Any],
        scheduler: Scheduler,
        special_ids: tuple[int, int],
        metrics: ModelMetrics,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._model = model
        self._scheduler = scheduler
        self._bos_id, self._eos_id = special_ids
        self._metrics = metrics

    def run(self) -> None:
        """Decodes batch after batch."""
        try:
            while (batch := self._scheduler.next_batch()) is not None:
                self._decode(batch)
        except BaseException:
            logger.exception("worker %s died", self.name)
            self._scheduler.fail("a decoding worker died")

    def _decode(self, batch: Sequence[Ticket]) -> None:
        started = time.monotonic()
        tokens = sum(ticket.length for ticket in batch)
        try:
            self._metrics.batch(len(batch), tokens)
            results = search(
                self._model,
                [ticket.input for ticket in batch],
                self._bos_id,
                self._eos_id,
                abandoned=lambda i: batch[i].future.cancelled(),
            )
            for index, hypotheses in results:
                self._deliver(batch[index], hypotheses, started)
        except BaseException as error:
            # The model's own words go to the log; callers learn only that decoding failed.
            logger.exception("a batch of %d sentences failed", len(batch))
            _fail(batch, EngineFailed("decoding failed"))
            if not isinstance(error, Exception):
                raise
        self._scheduler.report_speed(tokens, time.monotonic() - started)

    def _deliver(self, ticket: Ticket, hypotheses: tuple[Hypothesis, ...], started: float) -> None:
        alignment = None
        if ticket.input.align and not ticket.future.cancelled():
            best = hypotheses[0].ids
            aligner = self._model.aligner
            assert aligner is not None, "callers ask only models that align"
            alignment = forced_alignment(aligner, ticket.input.source, best, self._bos_id)
        seconds = started - ticket.arrived, time.monotonic() - started
        decoded = Decoded(hypotheses, *seconds, alignment)
        for hypothesis in hypotheses[:1]:
            self._metrics.finished(hypothesis.finish_reason)
        try:
            ticket.future.set_result(decoded)
        except InvalidStateError:
            self._metrics.cancelled()  # the caller left while the last step ran


def _fail(batch: Sequence[Ticket], error: Exception) -> None:
    for ticket in batch:
        try:
            ticket.future.set_exception(error)
        except InvalidStateError:
            continue  # already answered, or nobody waits
