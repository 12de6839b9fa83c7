"""Starts the workers of an engine and replaces those that die. Knows no model.

What a dead worker ran fails at once. Its successor begins after a pause that doubles with every
death in a row, so that a model that kills its workers does not keep the machine busy with dying.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from service.engine.scheduler import Scheduler
from service.engine.worker import Worker
from service.metrics import ModelMetrics

logger = logging.getLogger(__name__)

Ended = Callable[[int], None]
"""Called by a worker with its number as the last thing that it does."""
LOOK_SECONDS = 1.0
"""How often to look for workers that could not even say that they ended."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a dead worker is replaced, in seconds."""

    first: float = 0.1
    longest: float = 30.0
    lives: float = 10.0
    """Who lived so many times as long as it was waited for did not die in a row."""

    def pause(self, deaths: int) -> float:
        """After so many deaths in a row."""
        return min(self.first * 2.0 ** min(deaths - 1, 30), self.longest)

    def in_a_row(self, deaths: int, lived: float) -> int:
        """Deaths in a row, when one comes after so many and so many seconds."""
        return 1 if lived > self.lives * self.pause(deaths) else deaths + 1


BACKOFF = Backoff()


@dataclass(slots=True)
class Post:
    """A worker's place, and what has become of those who had it."""

    worker: Worker
    started: float
    deaths: int = 0
    replace_at: float | None = None


class Supervisor(threading.Thread):
    """Ends when the scheduler is closed and every worker has ended."""

    def __init__(
        self,
        name: str,
        hire: Callable[[int, Ended], Worker],
        workers: int,
        scheduler: Scheduler,
        metrics: ModelMetrics,
        backoff: Backoff = BACKOFF,
    ) -> None:
        super().__init__(name=f"{name}-supervisor", daemon=True)
        self._hire = hire
        self._scheduler = scheduler
        self._metrics = metrics
        self._backoff = backoff
        self._ended: SimpleQueue[int] = SimpleQueue()
        self._posts = [self._post(number) for number in range(workers)]

    @property
    def workers(self) -> tuple[Worker, ...]:
        """Those that are there now, dead ones that are not replaced yet included."""
        return tuple(post.worker for post in self._posts)

    def run(self) -> None:
        """Waits for deaths, and for the time of a replacement."""
        while self._scheduler.open or not all(map(_has_ended, self._posts)):
            try:
                ended = {self._ended.get(timeout=self._until_next())}
            except Empty:
                ended = {n for n, post in enumerate(self._posts) if not post.worker.is_alive()}
            for number in sorted(ended):
                self._bury(number)
            self._replace_due()
        for post in self._posts:
            post.worker.join()

    def _post(self, number: int, deaths: int = 0) -> Post:
        worker = self._hire(number, self._ended.put)
        worker.start()
        return Post(worker, time.monotonic(), deaths)

    def _bury(self, number: int) -> None:
        post = self._posts[number]
        if post.worker.done or post.replace_at is not None:
            return
        post.worker.join()  # it says that it ended a moment before it does
        now = time.monotonic()
        lived = now - post.started
        post.deaths = self._backoff.in_a_row(post.deaths, lived)
        pause = self._backoff.pause(post.deaths)
        post.replace_at = now + pause
        self._scheduler.lose(number)
        post.worker.abandon()
        self._metrics.worker_died()
        logger.error("worker %s is replaced in %.1f s", post.worker.name, pause)

    def _replace_due(self) -> None:
        now = time.monotonic()
        for number, post in enumerate(self._posts):
            if post.replace_at is not None and post.replace_at <= now and self._scheduler.open:
                self._scheduler.replace(number)
                self._posts[number] = self._post(number, post.deaths)

    def _until_next(self) -> float:
        if not self._scheduler.open:
            return LOOK_SECONDS
        times = [post.replace_at for post in self._posts if post.replace_at is not None]
        return max(0.0, min([LOOK_SECONDS, *(at - time.monotonic() for at in times)]))


def _has_ended(post: Post) -> bool:
    return post.worker.done or post.replace_at is not None
