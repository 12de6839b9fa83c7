"""A thread that keeps sentences decoding: newcomers join between steps, results leave at once."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import InvalidStateError
from contextlib import suppress
from typing import Any, NamedTuple

from service.engine.model import StepModel, forced_alignment
from service.engine.request import Decoded, Hypothesis
from service.engine.scheduler import Scheduler
from service.engine.search import Search
from service.engine.strategies import open_search
from service.engine.waiting import Ticket
from service.errors import EngineFailed
from service.metrics import ModelMetrics

logger = logging.getLogger(__name__)


class Joined(NamedTuple):
    """When a running sentence was taken up, and when it was encoded."""

    began: float
    encoded: float


class Worker(threading.Thread):
    """Lives until its scheduler is closed and empty. A step that fails fails its sentences; what a
    worker ran that died is failed by whoever learns from `ended` that it has.
    """

    def __init__(
        self,
        name: str,
        number: int,
        model: StepModel[Any],
        scheduler: Scheduler,
        special_ids: tuple[int, int],
        metrics: ModelMetrics,
        ended: Callable[[int], None],
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.done = False
        """Whether it ended because nothing is left to do."""
        self._ended = ended
        self._number = number
        self._model = model
        self._scheduler = scheduler
        self._bos_id, self._eos_id = special_ids
        self._metrics = metrics
        self._searches: dict[int, Search[Ticket]] = {}  # by beam size; none is empty
        self._joined: dict[Ticket, Joined] = {}  # the running sentences

    def run(self) -> None:
        """Step after step."""
        try:
            while (newcomers := self._take()) is not None:
                started = time.monotonic()
                if newcomers:
                    self._join(newcomers)
                tokens = sum(self._step(beam_size) for beam_size in list(self._searches))
                self._scheduler.report_speed(tokens, time.monotonic() - started)
            self.done = True
        except BaseException:
            logger.exception("worker %s died", self.name)
        finally:
            self._ended(self._number)

    def abandon(self) -> None:
        """Fails what it was running; only when it has ended."""
        self._fail(list(self._joined), None)

    @property
    def running(self) -> tuple[int, int]:
        """Sentences and source tokens that are being decoded; may be asked by any thread."""
        now = list(self._joined)
        return len(now), sum(ticket.length for ticket in now)

    def _take(self) -> list[Ticket] | None:
        return self._scheduler.take(self._number, list(self._joined), self._model.joinable)

    def _join(self, newcomers: Sequence[Ticket]) -> None:
        """Encodes newcomers, which have one beam size, and lets them run with the others."""
        beam_size = newcomers[0].beam_size
        self._metrics.batch([ticket.length for ticket in newcomers])
        began = time.monotonic()
        self._joined |= dict.fromkeys(newcomers, Joined(began, began))
        search = self._searches.get(beam_size) or open_search(
            self._model, beam_size, self._bos_id, self._eos_id
        )
        try:
            search.join([(ticket, ticket.input) for ticket in newcomers])
        except BaseException as error:
            self._fail(newcomers, error)
            if not isinstance(error, Exception):
                raise
        else:
            self._searches[beam_size] = search
            self._joined |= dict.fromkeys(newcomers, Joined(began, time.monotonic()))
            self._metrics.padded([ticket.length for ticket in search.keys])

    def _step(self, beam_size: int) -> int:
        """One step of a search -> source tokens of the sentences that it has finished."""
        search = self._searches[beam_size]
        finished: list[tuple[Ticket, tuple[Hypothesis, ...]]] = []
        try:
            search.drop(self._abandoned)
            if search.keys:
                self._metrics.step(len(search.keys) * beam_size)
                finished = search.step()
            for ticket, hypotheses in finished:
                self._deliver(ticket, hypotheses)
            _tell(search)
        except BaseException as error:
            del self._searches[beam_size]
            self._fail([*search.keys, *(ticket for ticket, _ in finished)], error)
            if not isinstance(error, Exception):
                raise
            return 0
        if not search.keys:
            del self._searches[beam_size]
        return sum(ticket.length for ticket, _ in finished)

    def _abandoned(self, ticket: Ticket) -> bool:
        if ticket.future.cancelled():
            del self._joined[ticket]
            return True
        return False

    def _deliver(self, ticket: Ticket, hypotheses: tuple[Hypothesis, ...]) -> None:
        alignment = None
        if ticket.input.align and not ticket.future.cancelled():
            best = hypotheses[0].ids
            aligner = self._model.aligner
            assert aligner is not None, "callers ask only models that align"
            alignment = forced_alignment(aligner, ticket.input.source, best, self._bos_id)
        joined = self._joined.pop(ticket)
        queue, encode = joined.began - ticket.arrived, joined.encoded - joined.began
        decode = time.monotonic() - joined.encoded
        self._metrics.finished(hypotheses[0].finish_reason)
        with suppress(InvalidStateError):  # the caller left while the last step ran
            ticket.future.set_result(Decoded(hypotheses, queue, decode, alignment, encode))

    def _fail(self, tickets: Sequence[Ticket], error: BaseException | None) -> None:
        """The model's own words go to the log; callers learn only that decoding failed."""
        logger.error("%d sentences failed", len(tickets), exc_info=error)
        for ticket in tickets:
            self._joined.pop(ticket, None)
            try:
                ticket.future.set_exception(EngineFailed("decoding failed"))
            except InvalidStateError:
                continue  # already answered, or nobody waits


def _tell(search: Search[Ticket]) -> None:
    """Lets those who listen know how far their sentences are."""
    for sink, said in search.partial():
        try:
            sink(said)
        except Exception:
            logger.exception("a listener failed")
