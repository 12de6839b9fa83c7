"""Finished sentences, kept for whoever asks again, and one decoding for all who ask at once.

Stands in front of a scheduler and belongs to one engine, which is one bundle: another bundle comes
with an engine and an empty cache of its own, so no checksum is needed to tell them apart.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from service.engine.request import Decoded, Progress
from service.engine.search import SearchInput
from service.engine.waiting import Standing, Ticket
from service.metrics import ModelMetrics

Submit = Callable[[Sequence[SearchInput], Standing], list[Ticket]]

# What CPython takes, by measurement: an id is an int of its own and the pointer to it.
PIECE_BYTES = 40
SCORE_BYTES = 32
HYPOTHESIS_BYTES = 200
ENTRY_BYTES = 700


def size_of(sentence: SearchInput, decoded: Decoded) -> int:
    """Bytes that a finished sentence takes in the cache, about."""
    pieces = len(sentence.source) + sum(len(h.ids) for h in decoded.hypotheses)
    scores = sum(len(h.token_scores) for h in decoded.hypotheses)
    attention = 0 if decoded.alignment is None else decoded.alignment.nbytes
    hypotheses = HYPOTHESIS_BYTES * len(decoded.hypotheses)
    return ENTRY_BYTES + hypotheses + PIECE_BYTES * pieces + SCORE_BYTES * scores + attention


class Audience:
    """Those who listen to one flight; more may come while it is under way."""

    def __init__(self) -> None:
        self.listeners: tuple[Progress, ...] = ()

    def __call__(self, said: Sequence[int]) -> None:
        for listener in self.listeners:
            listener(said)


@dataclass(eq=False, slots=True)
class Flight:
    """A sentence that is being decoded, and those who wait for it, with the time they came."""

    ticket: Ticket
    waiters: dict[Future[Decoded], float] = field(default_factory=dict)


class SentenceCache:
    """Holds `limit` bytes; whoever was asked for least recently goes first.

    The key is the whole SearchInput: the source ids with their tag, and all that changes the
    result. All methods may be called from any thread. `submit` is called under the cache's lock,
    so futures must not be answered from within it, nor under a lock that it takes.
    """

    def __init__(
        self,
        limit: int,
        submit: Submit,
        metrics: ModelMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._submit = submit
        self._metrics = metrics
        self._clock = clock
        self._lock = threading.Lock()
        self._finished: OrderedDict[SearchInput, Decoded] = OrderedDict()  # the oldest use first
        self._flights: dict[SearchInput, Flight] = {}
        self._bytes = 0

    @property
    def held(self) -> tuple[int, int]:
        """Finished sentences, and bytes that they take."""
        with self._lock:
            return len(self._finished), self._bytes

    def submit(
        self, inputs: Sequence[SearchInput], standing: Standing = Standing.INTERACTIVE
    ) -> list[Ticket]:
        """As Scheduler.submit, which gets only what is neither finished nor being decoded.

        Raises what that raises, and then nothing has changed. Every caller has a future of its
        own: cancelling it takes the answer from nobody else, and the last to leave ends the work.
        What chance decides is neither kept nor shared.
        """
        if any(each.options.sampling for each in inputs):
            return self._submit(inputs, standing)
        now = self._clock()
        tickets = [Ticket(replace(each, source=tuple(each.source)), now) for each in inputs]
        with self._lock:
            new = dict.fromkeys(t.input for t in tickets if not self._knows(t.input))
            heard = {t.input for t in tickets if t.input.progress is not None}
            sent = [replace(n, progress=Audience()) if n in heard else n for n in new]
            flights = [Flight(ticket) for ticket in self._submit(sent, standing)] if sent else []
            self._flights |= {flight.ticket.input: flight for flight in flights}
            for ticket in tickets:
                self._metrics.cache_request(self._serve(ticket))
        # Not under the lock: a future that is done already calls at once.
        for flight in flights:
            flight.ticket.future.add_done_callback(partial(self._land, flight))
        return tickets

    def _knows(self, sentence: SearchInput) -> bool:
        return sentence in self._finished or sentence in self._flights

    def _serve(self, ticket: Ticket) -> str:
        if ticket.input in self._finished:
            self._finished.move_to_end(ticket.input)
            ticket.future.set_result(self._finished[ticket.input])
            return "hit"
        flight = self._flights[ticket.input]
        audience = flight.ticket.input.progress
        if isinstance(audience, Audience) and ticket.input.progress is not None:
            audience.listeners += (ticket.input.progress,)
        result = "joined" if flight.waiters else "miss"
        flight.waiters[ticket.future] = ticket.arrived
        ticket.future.add_done_callback(partial(self._leave, flight))
        return result

    def _leave(self, flight: Flight, waiter: Future[Decoded]) -> None:
        if not waiter.cancelled():
            return
        with self._lock:
            flight.waiters.pop(waiter, None)
            if flight.waiters:
                return
            self._end(flight)
        flight.ticket.future.cancel()

    def _land(self, flight: Flight, future: Future[Decoded]) -> None:
        error = CancelledError() if future.cancelled() else future.exception()
        with self._lock:
            self._end(flight)
            waiters, flight.waiters = flight.waiters, {}
            if error is None:
                self._keep(replace(flight.ticket.input, progress=None), future.result())
        for waiter, arrived in waiters.items():
            with suppress(InvalidStateError):  # it left this very moment
                if error is None:
                    waiter.set_result(_as_seen(future.result(), flight.ticket.arrived, arrived))
                else:
                    waiter.set_exception(error)

    def _end(self, flight: Flight) -> None:
        # Once all have left, another flight of the same sentence may have begun.
        if self._flights.get(flight.ticket.input) is flight:
            del self._flights[flight.ticket.input]

    def _keep(self, sentence: SearchInput, decoded: Decoded) -> None:
        size = size_of(sentence, decoded)
        if sentence in self._finished or size > self._limit:
            return
        self._finished[sentence] = replace(
            decoded, queue_seconds=0.0, encode_seconds=0.0, decode_seconds=0.0
        )
        self._bytes += size
        while self._bytes > self._limit:
            self._bytes -= size_of(*self._finished.popitem(last=False))


def _as_seen(decoded: Decoded, submitted: float, arrived: float) -> Decoded:
    """With the seconds that somebody spent who came when it waited already, or even ran."""
    began = submitted + decoded.queue_seconds
    encoded = began + decoded.encode_seconds
    ended = encoded + decoded.decode_seconds
    queue, encode, decode = (
        max(end, arrived) - max(start, arrived)
        for start, end in ((submitted, began), (began, encoded), (encoded, ended))
    )
    return replace(decoded, queue_seconds=queue, encode_seconds=encode, decode_seconds=decode)
