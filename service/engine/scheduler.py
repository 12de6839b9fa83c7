"""Shares the sentences of all callers out among the workers. Holds queues, no tensors, no threads.

A worker has sentences running and asks between two steps who may join them. Sentences wait in the
order in which they are due (waiting.py). Those that join together are the first and those most like
it in length among the next few, under a budget of padded tokens; the first is never passed over, so
nobody starves.
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.engine.search import SearchInput
from service.engine.waiting import Standing, Ticket, WaitingLine, tickets_of
from service.errors import EngineFailed, Overloaded

LOOK_AHEAD = 4
"""Sentences of similar length are looked for among this many times as many as may run."""
GROUP_SHARE = 4
"""Newcomers join in groups of at least this part of the rows that run: to encode a group and make
room for it costs less than one by one."""
PATIENCE = 3
"""Steps that a smaller group waits to grow."""
WORKERS_LOST = "the decoding workers died and are being replaced"
SHARES = {Standing.INTERACTIVE: 1.0, Standing.BULK: 0.5, Standing.ACCEPTED: math.inf}
"""Part of the queue that may be full when they come; half of it bulk leaves to others."""


@dataclass(frozen=True, slots=True)
class SchedulerLimits:
    """Bounds of what runs in one worker and of the queue."""

    batch_tokens: int = 4096
    """Rows that run side by side times their longest source."""
    batch_rows: int = 128
    """Hypotheses that run side by side."""
    state_bytes: int = 4 << 30
    """Memory for their state; a bundle that may need more is refused."""
    waiting_tokens: int = 100_000
    """Source tokens. More and newcomers are turned away; one request alone is always let in."""
    waiting_sentences: int = 20_000
    """Likewise; many short sentences take more memory than a few long ones."""

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
        self._waiting = WaitingLine()
        self._running = [0] * workers  # sentences of each worker when it last asked
        self._held = [0] * workers  # steps that newcomers have waited to be more
        self._lost: set[int] = set()  # workers that have died and are not replaced yet
        self._closed: str | None = None
        # Source tokens finished and seconds worked, both fading; a first guess, then measured.
        self._done, self._busy = 1000.0, 1.0

    def submit(
        self, inputs: Sequence[SearchInput], standing: Standing = Standing.INTERACTIVE
    ) -> list[Ticket]:
        """Queues sentences, all or none.

        Raises Overloaded, or EngineFailed when it is closed or no worker is there.
        """
        tickets = tickets_of(inputs, self._clock(), self._speed(), standing)
        with self._changed:
            if self._closed is not None:
                raise EngineFailed(self._closed)
            if len(self._lost) == len(self._running):
                raise EngineFailed(WORKERS_LOST)
            if self._too_many(tickets, SHARES[standing]):
                raise Overloaded(max(1.0, self._waiting.tokens / self._speed()))
            self._waiting.add(tickets)
            self._changed.notify_all()
        return tickets

    def _too_many(self, tickets: Sequence[Ticket], share: float) -> bool:
        tokens = sum(ticket.length for ticket in tickets)
        for look_closer in (True, False):
            waiting, limits = self._waiting, self._limits
            full = (
                waiting.tokens + tokens > share * limits.waiting_tokens
                or len(waiting) + len(tickets) > share * limits.waiting_sentences
            )
            if not (full and waiting):
                return False
            if look_closer:
                waiting.purge()  # there may be room of those that have left
        return True

    def _speed(self) -> float:
        """Source tokens a second, of all workers together."""
        return max(1.0, self._done / max(self._busy, 1e-3) * len(self._running))

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
                    self._waiting.purge()
                chosen = self._choose(worker, running) if joinable or not running else []
                self._running[worker] += len(chosen)
                if chosen or running:
                    return chosen
                if self._closed is not None and not self._waiting:
                    return None
                self._changed.wait()

    def _choose(self, worker: int, running: Sequence[Ticket]) -> list[Ticket]:
        """Takes the first that waits and those like it, as many as fit into the budget."""
        share = self._share(worker)
        rows = before = sum(ticket.beam_size for ticket in running)
        if share <= 0 or (running and before >= self._limits.batch_rows):
            return []
        ahead = self._waiting.ahead(LOOK_AHEAD * self._limits.batch_rows)
        if not ahead:
            return []
        first = ahead[0]
        window = [t for t in ahead if t.beam_size == first.beam_size]
        window.sort(key=lambda t: abs(t.length - first.length))  # stable: then by what is due
        longest = max((ticket.length for ticket in running), default=0)
        chosen: list[Ticket] = []
        for ticket in window[:share]:
            rows += ticket.beam_size
            longest = max(longest, ticket.length)
            alone = not running and not chosen
            if not alone and not self._limits.allow(rows, longest):
                break
            chosen.append(ticket)
        few = len(chosen) * first.beam_size < before // GROUP_SHARE
        if chosen and few and self._held[worker] < PATIENCE:
            self._held[worker] += 1
            return []
        self._held[worker] = 0
        if chosen:
            self._waiting.take(ahead, chosen)
        return chosen

    def _share(self, worker: int) -> int:
        """How many sentences more would give this worker as many as the others have."""
        if not self._waiting:
            return 0
        total = len(self._waiting) + sum(self._running)
        workers = max(1, len(self._running) - len(self._lost))
        return -(-total // workers) - self._running[worker]

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

    def lose(self, worker: int) -> None:
        """A worker has died. Others take its part; if none is left, whatever waits fails."""
        with self._changed:
            self._lost.add(worker)
            self._running[worker] = 0
            alone = len(self._lost) == len(self._running)
            waiting = self._waiting.clear() if alone else []
            self._changed.notify_all()
        for ticket in waiting:
            if ticket.future.set_running_or_notify_cancel():
                ticket.future.set_exception(EngineFailed(WORKERS_LOST))

    def replace(self, worker: int) -> None:
        """Another one is about to ask in its place."""
        with self._changed:
            self._lost.discard(worker)

    @property
    def open(self) -> bool:
        """Whether new work is taken."""
        return self._closed is None

    @property
    def waiting(self) -> tuple[int, int]:
        """Sentences and source tokens in the queue."""
        with self._changed:
            self._waiting.purge()
            return len(self._waiting), self._waiting.tokens

    @property
    def complete(self) -> bool:
        """Whether all workers are there."""
        return not self._lost
