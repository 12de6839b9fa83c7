"""Joins the sentences of all callers into batches. Holds queues, no tensors and no threads.

A ticket waits in order of arrival; a batch is the oldest ticket and those most like it in length,
under a budget of padded tokens. The oldest is always taken, so nobody starves.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from service.engine.request import Decoded
from service.engine.search import SearchInput
from service.errors import EngineFailed, Overloaded


@dataclass(frozen=True, slots=True)
class Ticket:
    """A sentence on its way. Cancelling the future gives its place to others."""

    input: SearchInput
    arrived: float
    future: Future[Decoded] = field(default_factory=Future)

    @property
    def length(self) -> int:
        """Source pieces."""
        return len(self.input.source)

    @property
    def beam_size(self) -> int:
        """Rows that the sentence takes in a batch."""
        return self.input.options.beam_size


@dataclass(frozen=True, slots=True)
class SchedulerLimits:
    """Bounds of a batch and of the queue, in source tokens."""

    batch_tokens: int = 4096
    """Rows of a batch times its longest source."""
    batch_rows: int = 128
    waiting_tokens: int = 100_000
    """More than this and newcomers are turned away; one request alone is always let in."""


class Scheduler:
    """The queue between callers and workers. All methods may be called from any thread."""

    def __init__(
        self, limits: SchedulerLimits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: list[Ticket] = []
        self._closed: str | None = None
        self._tokens_per_second = 1000.0  # a first guess, then measured

    def submit(self, inputs: Sequence[SearchInput]) -> list[Ticket]:
        """Queues sentences, all or none. Raises Overloaded or, once closed, EngineFailed."""
        now = self._clock()
        tickets = [Ticket(each, now) for each in inputs]
        tokens = sum(ticket.length for ticket in tickets)
        with self._changed:
            if self._closed is not None:
                raise EngineFailed(self._closed)
            self._drop_cancelled()
            waiting = self._count_tokens()
            if waiting and waiting + tokens > self._limits.waiting_tokens:
                raise Overloaded(max(1.0, waiting / self._tokens_per_second))
            self._waiting.extend(tickets)
            self._changed.notify_all()
        return tickets

    def next_batch(self) -> list[Ticket] | None:
        """Waits for work. None means that the scheduler is closed and nothing is left to do."""
        with self._changed:
            while True:
                self._drop_cancelled()
                if self._waiting:
                    return self._take_batch()
                if self._closed is not None:
                    return None
                self._changed.wait()

    def _take_batch(self) -> list[Ticket]:
        oldest = self._waiting[0]
        alike = [t for t in self._waiting if t.beam_size == oldest.beam_size]
        alike.sort(key=lambda t: abs(t.length - oldest.length))  # stable: then by arrival
        batch: list[Ticket] = []
        longest = 0
        for ticket in alike:
            longest = max(longest, ticket.length)
            rows = (len(batch) + 1) * oldest.beam_size
            over = rows > self._limits.batch_rows or rows * longest > self._limits.batch_tokens
            if batch and over:
                break
            batch.append(ticket)
        taken = set(map(id, batch))
        self._waiting = [t for t in self._waiting if id(t) not in taken]
        return batch

    def report_speed(self, tokens: int, seconds: float) -> None:
        """What a worker has just managed; callers that are turned away are told from it."""
        with self._changed:
            speed = tokens / max(seconds, 1e-3)
            self._tokens_per_second += 0.1 * (speed - self._tokens_per_second)

    def close(self, reason: str = "the engine has stopped") -> None:
        """Takes no more work; workers finish what waits."""
        with self._changed:
            self._closed = self._closed or reason
            self._changed.notify_all()

    def fail(self, reason: str) -> None:
        """Closes, and fails whatever waits."""
        self.close(reason)
        with self._changed:
            waiting, self._waiting = self._waiting, []
        for ticket in waiting:
            if ticket.future.set_running_or_notify_cancel():
                ticket.future.set_exception(EngineFailed(reason))

    @property
    def open(self) -> bool:
        """Whether new work is taken."""
        return self._closed is None

    @property
    def waiting(self) -> tuple[int, int]:
        """Sentences and source tokens in the queue."""
        with self._changed:
            self._drop_cancelled()
            return len(self._waiting), self._count_tokens()

    def _drop_cancelled(self) -> None:
        self._waiting = [t for t in self._waiting if not t.future.cancelled()]

    def _count_tokens(self) -> int:
        return sum(ticket.length for ticket in self._waiting)
