"""Documents that are being translated and those that wait to be fetched, within bounds.

Knows who may ask for what, how long it is kept and how much there may be. It does not know what
translates a document, nor any protocol.
"""

import asyncio
import hmac
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from service.documents.shelf import MemoryShelf, Shelf
from service.errors import DocumentNotReady, Overloaded, Seq2ServeError, UnknownDocument

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
"""A guess at when there is room again; nobody knows when results are fetched."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A sentence of a document whose translation cannot be right."""

    sentence: str
    reason: str
    message: str
    """For people."""


Report = Callable[[int, Sequence[Doubt]], None]
"""Told how many characters are translated, and what is new about them."""
Work = Callable[[Report], Awaitable[bytes]]
MOST_DOUBTS = 100
"""More are not kept of a job: that many say that its model is not made for it."""


class JobState(StrEnum):
    """Where a document is on its way."""

    QUEUED = "queued"
    TRANSLATING = "translating"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class JobLimits:
    """How much there may be at once, and for how long."""

    jobs: int = 100
    bytes: int = 67_108_864
    """Of all documents together; one being translated counts as the file that was sent."""
    running: int = 2
    seconds: float = 3600.0
    """How long a finished document is kept, if there is room."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be made: for whom, under which name, of how many bytes and characters."""

    owner: str
    name: str
    media_type: str
    size: int
    characters: int


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job at one moment. Who has the id may ask for it, and needs the key in some protocols."""

    id: str
    key: str
    order: Order
    state: JobState
    characters_done: int
    seconds_left: float | None
    """A guess, once something is done."""
    doubts: tuple[Doubt, ...]
    error: Exception | None


@dataclass(eq=False, slots=True)
class _Job:
    id: str
    key: str
    order: Order
    size: int
    state: JobState = JobState.QUEUED
    started: float = 0.0
    done: int = 0
    doubts: tuple[Doubt, ...] = ()
    ended: float | None = None
    fetched: bool = False
    error: Exception | None = None
    task: asyncio.Task[None] | None = None


class DocumentJobs:
    """Belongs to one event loop. Whoever asks for a job of somebody else is told there is none."""

    def __init__(
        self,
        limits: JobLimits,
        shelf: Shelf | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._shelf = shelf or MemoryShelf()
        self._clock = clock
        self._jobs: dict[str, _Job] = {}  # the oldest first
        self._turns = asyncio.Semaphore(limits.running)

    @property
    def counts(self) -> dict[JobState, int]:
        """Jobs in each state."""
        self._expire()
        states = [job.state for job in self._jobs.values()]
        return {state: states.count(state) for state in JobState}

    def submit(self, order: Order, work: Work) -> JobStatus:
        """Begins as soon as it is its turn. Raises Overloaded if there is no room."""
        self._make_room(order.size)
        job = _Job(secrets.token_urlsafe(16), secrets.token_urlsafe(16), order, order.size)
        self._jobs[job.id] = job
        job.task = asyncio.create_task(self._run(job, work))
        return self._status(job)

    def status(self, owner: str, job_id: str, key: str | None = None) -> JobStatus:
        """Raises UnknownDocument."""
        return self._status(self._find(owner, job_id, key))

    async def wait(self, owner: str, job_id: str, seconds: float) -> JobStatus:
        """As `status`, but at the end of the job, or of so many seconds."""
        job = self._find(owner, job_id, None)
        if job.task is not None:
            await asyncio.wait({job.task}, timeout=seconds)
        return self._status(job)

    async def result(self, owner: str, job_id: str, key: str | None = None) -> bytes:
        """The translated file. Raises UnknownDocument, DocumentNotReady, or what ended the job."""
        job = self._find(owner, job_id, key)
        if job.error is not None:
            raise job.error
        if job.state is not JobState.DONE:
            raise DocumentNotReady
        data = await asyncio.to_thread(self._shelf.get, job.id)
        job.fetched = True
        return data

    async def delete(self, owner: str, job_id: str, key: str | None = None) -> None:
        """Forgets a job, and ends it if it runs. Raises UnknownDocument."""
        job = self._find(owner, job_id, key)
        self._forget(job)
        if job.task is not None:
            await asyncio.wait({job.task})

    async def close(self) -> None:
        """Ends and forgets all jobs."""
        tasks = {job.task for job in self._jobs.values() if job.task is not None}
        for job in list(self._jobs.values()):
            self._forget(job)
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self, job: _Job, work: Work) -> None:
        def report(characters: int, doubts: Sequence[Doubt]) -> None:
            job.done = characters
            job.doubts = (*job.doubts, *doubts)[:MOST_DOUBTS]

        try:
            async with self._turns:
                job.state, job.started = JobState.TRANSLATING, self._clock()
                data = await work(report)
            await asyncio.shield(self._keep(job, data))  # half a file is not left behind
            job.state, job.size = JobState.DONE, len(data)
        except Exception as error:
            if not isinstance(error, Seq2ServeError):
                logger.exception("translating a document failed")
            job.state, job.error, job.size = JobState.FAILED, error, 0
        job.ended = self._clock()

    async def _keep(self, job: _Job, data: bytes) -> None:
        await asyncio.to_thread(self._shelf.put, job.id, data)
        if job.id not in self._jobs:
            self._shelf.drop(job.id)

    def _status(self, job: _Job) -> JobStatus:
        left = None
        if job.done and job.ended is None:
            pace = (self._clock() - job.started) / job.done
            left = pace * (job.order.characters - job.done)
        return JobStatus(
            job.id, job.key, job.order, job.state, job.done, left, job.doubts, job.error
        )

    def _find(self, owner: str, job_id: str, key: str | None) -> _Job:
        self._expire()
        job = self._jobs.get(job_id)
        if job is None or job.order.owner != owner:
            raise UnknownDocument
        if key is not None and not hmac.compare_digest(job.key.encode(), key.encode()):
            raise UnknownDocument
        return job

    def _make_room(self, size: int) -> None:
        """Forgets old results, those that were fetched before there was no room too."""
        self._expire()
        fetched = iter([job for job in self._jobs.values() if job.fetched])
        while not self._has_room(size):
            job = next(fetched, None)
            if job is None:
                raise Overloaded(RETRY_SECONDS)
            self._forget(job)

    def _has_room(self, size: int) -> bool:
        held = sum(job.size for job in self._jobs.values())
        return len(self._jobs) < self._limits.jobs and held + size <= self._limits.bytes

    def _expire(self) -> None:
        for job in list(self._over()):
            self._forget(job)

    def _over(self) -> Iterator[_Job]:
        oldest = self._clock() - self._limits.seconds
        return (j for j in self._jobs.values() if j.ended is not None and j.ended <= oldest)

    def _forget(self, job: _Job) -> None:
        self._jobs.pop(job.id, None)
        if job.task is not None:
            job.task.cancel()
        if job.state is JobState.DONE:
            self._shelf.drop(job.id)
