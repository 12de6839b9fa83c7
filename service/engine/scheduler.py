"""Shares the sentences of all callers out among the workers. Holds queues, no tensors, no threads.

A worker has sentences running and asks between two steps who may join them. Sentences wait in
order of arrival. Those that join together are the oldest and those most like it in length among
the next few, under a budget of padded tokens; the oldest is never passed over, so nobody starves.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from service.engine.request import Decoded
from service.engine.search import SearchInput
from service.errors import EngineFailed, Overloaded

LOOK_AHEAD = 4
"""Sentences of similar length are looked for among this many times as many as may run."""
GROUP_SHARE = 4
"""Newcomers join in groups of at least this part of the rows that run: to encode a group and make
room for it costs less than one by one."""
PATIENCE = 3
"""Steps that a smaller group waits to grow."""


@dataclass(frozen=True, slots=True, eq=False)
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
        """Rows that the sentence takes."""
        return self.input.options.beam_size


@dataclass(frozen=True, slots=True)
class SchedulerLimits:
    """Bounds of what runs in one worker and of the queue."""

    batch_tokens: int = 4096
    """Rows that run side by side times their longest source."""
    batch_rows: int = 128
    """Hypotheses that run side by side."""
    waiting_tokens: int = 100_000
    """Source tokens. More and newcomers are turned away; one request alone is always let in."""

    def allow(self, rows: int, longest: int) -> bool:
        """Whether so many rows may run with sources of at most so many pieces."""
        return rows <= self.batch_rows and rows * longest <= self.batch_tokens


class Scheduler:
    """The queue between callers and workers. All methods may be called from any thread."""

    def __init__(
        self,
        limits: SchedulerLimits,
        workers: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: list[Ticket] = []
        self._running = [0] * workers  # sentences of each worker when it last asked
        self._held = [0] * workers  # steps that newcomers have waited to be more
        self._closed: str | None = None
        # Source tokens finished and seconds worked, both fading; a first guess, then measured.
        self._done, self._busy = 1000.0, 1.0

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
                speed = self._done / max(self._busy, 1e-3) * len(self._running)
                raise Overloaded(max(1.0, waiting / speed))
            self._waiting.extend(tickets)
            self._changed.notify_all()
        return tickets

    def take(
        self, worker: int, running: Sequence[Ticket], joinable: bool = True
    ) -> list[Ticket] | None:
        """Who may join what runs in a worker; all have one beam size. Waits if nothing runs.

        None means that the scheduler is closed and nothing is left to do. A worker whose running
        sentences cannot be joined gets nobody until they are finished.
        """
        with self._changed:
            while True:
                self._running[worker] = len(running)
                if not running:
                    self._drop_cancelled()
                chosen = self._choose(worker, running) if joinable or not running else []
                self._running[worker] += len(chosen)
                if chosen or running:
                    return chosen
                if self._closed is not None and not self._waiting:
                    return None
                self._changed.wait()

    def _choose(self, worker: int, running: Sequence[Ticket]) -> list[Ticket]:
        """Takes the oldest that waits and those like it, as many as fit into the budget."""
        share = self._share(worker)
        rows = before = sum(ticket.beam_size for ticket in running)
        if share <= 0 or (running and before >= self._limits.batch_rows):
            return []
        # Asked at every step, so that only those at the head of a long queue are looked at.
        count = LOOK_AHEAD * self._limits.batch_rows
        ahead = [t for t in self._waiting[:count] if not t.future.cancelled()]
        self._waiting[:count] = ahead
        if not ahead:
            return []
        oldest = ahead[0]
        window = [t for t in ahead if t.beam_size == oldest.beam_size]
        window.sort(key=lambda t: abs(t.length - oldest.length))  # stable: then by arrival
        longest = max((ticket.length for ticket in running), default=0)
        chosen: list[Ticket] = []
        for ticket in window[:share]:
            rows += ticket.beam_size
            longest = max(longest, ticket.length)
            alone = not running and not chosen
            if not alone and not self._limits.allow(rows, longest):
                break
            chosen.append(ticket)
        few = len(chosen) * oldest.beam_size < before // GROUP_SHARE
        if chosen and few and self._held[worker] < PATIENCE:
            self._held[worker] += 1
            return []
        self._held[worker] = 0
        taken = set(chosen)
        self._waiting[: len(ahead)] = [t for t in ahead if t not in taken]
        return chosen

    def _share(self, worker: int) -> int:
        """How many sentences more would give this worker as many as the others have."""
        if not self._waiting:
            return 0
        total = len(self._waiting) + sum(self._running)
        return -(-total // len(self._running)) - self._running[worker]

    def report_speed(self, tokens: int, seconds: float) -> None:
        """What a worker has just managed; callers that are turned away are told from it."""
        with self._changed:
            self._done = 0.99 * self._done + tokens
            self._busy = 0.99 * self._busy + seconds

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
