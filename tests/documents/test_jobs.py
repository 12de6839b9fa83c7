"""Jobs: who may ask for them, how many there may be, and how they end."""

import asyncio
import errno
from pathlib import Path

import pytest

from service.documents.jobs import MOST_DOUBTS, DocumentJobs, Doubt, JobLimits, JobState, Order
from service.documents.shelf import DirectoryShelf, MemoryShelf
from service.errors import (
    DocumentNotReady,
    EngineFailed,
    Overloaded,
    StoreFailed,
    UnknownDocument,
)


class Clock:
    """Stands still until it is told."""

    now = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


class Bench:
    """Work that goes on when the test says so."""

    def __init__(self):
        self.begun, self.ended, self.cancelled = asyncio.Event(), asyncio.Event(), False

    async def __call__(self, report) -> bytes:
        """Half of it is done when it has begun."""
        self.begun.set()
        report(50, ())
        try:
            await self.ended.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return b"translated"


def order(owner: str = "me", size: int = 10) -> Order:
    """A file of somebody."""
    return Order(owner, "a.ko.txt", "text/plain", size, 100)


@pytest.fixture
def clock():
    """The time of the jobs."""
    return Clock()


@pytest.fixture(params=["memory", "directory"])
async def jobs(request, clock, tmp_path):
    """Room for three jobs and a hundred bytes; one runs at a time."""
    shelf = MemoryShelf() if request.param == "memory" else DirectoryShelf(tmp_path / "shelf")
    jobs = DocumentJobs(JobLimits(3, 100, 1, 60.0), shelf, clock)
    yield jobs
    await jobs.close()
    assert sum(jobs.counts.values()) == 0
    assert request.param == "memory" or list((tmp_path / "shelf").iterdir()) == []


async def finished(jobs: DocumentJobs, owner: str = "me") -> str:
    """The id of a job that has ended."""

    async def work(_) -> bytes:
        return b"translated"

    job = jobs.submit(order(owner), work)
    await jobs.wait(owner, job.id, 10)
    return job.id


async def test_a_job_runs_and_can_be_fetched(jobs):
    """With its progress and the key of whoever sent it."""
    bench = Bench()
    job = jobs.submit(order(), bench)
    assert job.state is JobState.QUEUED
    await bench.begun.wait()
    status = jobs.status("me", job.id, job.key)
    assert (status.state, status.characters_done) == (JobState.TRANSLATING, 50)
    with pytest.raises(DocumentNotReady):
        await jobs.result("me", job.id)
    bench.ended.set()
    assert (await jobs.wait("me", job.id, 10)).state is JobState.DONE
    assert await jobs.result("me", job.id, job.key) == b"translated"
    assert await jobs.result("me", job.id) == b"translated"


async def test_the_time_that_is_left_is_guessed_from_the_pace(jobs, clock):
    """Half is done after four seconds, so the rest needs four more."""
    bench = Bench()
    job = jobs.submit(order(), bench)
    await bench.begun.wait()
    clock.now += 4
    assert jobs.status("me", job.id).seconds_left == pytest.approx(4)


async def test_only_so_many_doubts_are_kept(jobs):
    """A model that fails at every sentence fills no memory."""
    doubt = Doubt("Take 3 of them.", "lost_number", "a number is lost or changed")

    async def work(report) -> bytes:
        report(10, [doubt] * (MOST_DOUBTS - 1))
        report(20, [doubt] * MOST_DOUBTS)
        return b"translated"

    job = jobs.submit(order(), work)
    assert (await jobs.wait("me", job.id, 10)).doubts == (doubt,) * MOST_DOUBTS


@pytest.mark.parametrize(
    ("owner", "key"), [("you", None), ("me", ""), ("me", "wrong"), ("me", "가")]
)
async def test_a_job_of_somebody_else_is_unknown(jobs, owner, key):
    """Also to whoever has the id without the key, where a key is given."""
    job = await finished(jobs)
    with pytest.raises(UnknownDocument):
        jobs.status(owner, job, key)
    with pytest.raises(UnknownDocument):
        await jobs.result(owner, job, key)
    with pytest.raises(UnknownDocument):
        await jobs.delete(owner, job, key)
    assert jobs.status("me", job).state is JobState.DONE


async def test_deleting_ends_the_work(jobs):
    """And the next job has its turn."""
    first, second = Bench(), Bench()
    job = jobs.submit(order(), first)
    waiting = jobs.submit(order(), second)
    await first.begun.wait()
    assert jobs.status("me", waiting.id).state is JobState.QUEUED
    await jobs.delete("me", job.id)
    assert first.cancelled
    await second.begun.wait()
    with pytest.raises(UnknownDocument):
        jobs.status("me", job.id)


async def test_a_job_that_waits_can_be_deleted(jobs):
    """Before it ever ran."""
    first, second = Bench(), Bench()
    jobs.submit(order(), first)
    await jobs.delete("me", jobs.submit(order(), second).id)
    assert not second.begun.is_set()
    assert jobs.counts[JobState.QUEUED] + jobs.counts[JobState.TRANSLATING] == 1


async def test_a_failure_is_kept_for_whoever_asks(jobs, caplog):
    """As the exception that it was; only what nobody expected is logged."""

    async def fail(_) -> bytes:
        raise EngineFailed("the engine has stopped")

    async def break_down(_) -> bytes:
        raise ZeroDivisionError

    job = jobs.submit(order(), fail)
    status = await jobs.wait("me", job.id, 10)
    assert (status.state, str(status.error)) == (JobState.FAILED, "the engine has stopped")
    with pytest.raises(EngineFailed):
        await jobs.result("me", job.id)
    assert not caplog.records
    job = jobs.submit(order(), break_down)
    assert (await jobs.wait("me", job.id, 10)).state is JobState.FAILED
    assert len(caplog.records) == 1


async def test_there_are_only_so_many_jobs(jobs):
    """Finished ones that nobody has fetched are not thrown away for new ones; fetched ones are."""
    bench = Bench()
    done = [await finished(jobs), await finished(jobs)]
    jobs.submit(order(), bench)
    with pytest.raises(Overloaded):
        jobs.submit(order(), bench)
    await jobs.result("me", done[1])
    jobs.submit(order(), bench)
    assert jobs.status("me", done[0]).state is JobState.DONE
    with pytest.raises(UnknownDocument):
        jobs.status("me", done[1])


async def test_there_are_only_so_many_bytes(jobs):
    """Those that were sent and those that are kept."""
    bench = Bench()
    with pytest.raises(Overloaded):
        jobs.submit(order(size=101), bench)
    jobs.submit(order(size=91), bench)
    with pytest.raises(Overloaded):
        jobs.submit(order(), bench)
    jobs.submit(order(size=9), bench)


async def test_a_result_is_kept_for_a_while(jobs, clock):
    """After that it was never there."""
    job = await finished(jobs)
    clock.now += 59
    assert await jobs.result("me", job) == b"translated"
    clock.now += 1
    with pytest.raises(UnknownDocument):
        await jobs.result("me", job)
    assert jobs.counts[JobState.DONE] == 0


async def test_a_job_that_runs_does_not_expire(jobs, clock):
    """The time counts from its end."""
    bench = Bench()
    job = jobs.submit(order(), bench)
    await bench.begun.wait()
    clock.now += 1000
    bench.ended.set()
    assert (await jobs.wait("me", job.id, 10)).state is JobState.DONE


async def test_closing_ends_everything(jobs):
    """What runs and what waits."""
    first, second = Bench(), Bench()
    jobs.submit(order(), first)
    jobs.submit(order(), second)
    await first.begun.wait()
    await jobs.close()
    assert first.cancelled
    assert not second.begun.is_set()


async def test_a_disk_that_takes_nothing_fails_the_job(clock, tmp_path):
    """In words, and nothing else."""
    shelf = DirectoryShelf(tmp_path / "shelf")
    (tmp_path / "shelf").rmdir()
    jobs = DocumentJobs(JobLimits(), shelf, clock)
    job = await finished(jobs)
    assert isinstance(jobs.status("me", job).error, StoreFailed)


def test_a_full_disk_keeps_no_part_of_a_file(tmp_path, monkeypatch):
    """Fails when what was written before the disk was full stays there: it takes the room of
    others, and is no document."""
    shelf = DirectoryShelf(tmp_path / "shelf")
    write = Path.write_bytes

    def fill(path, data):
        write(path, data[:3])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(StoreFailed) as refused:
        shelf.put("a", b"translated")
    assert "shelf" not in str(refused.value)
    assert list((tmp_path / "shelf").iterdir()) == []


def test_a_shelf_begins_empty(tmp_path):
    """What a process left that was killed is of no use to the next."""
    DirectoryShelf(tmp_path / "shelf").put("a", b"")
    DirectoryShelf(tmp_path / "shelf")
    assert list((tmp_path / "shelf").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(StoreFailed):
        DirectoryShelf(tmp_path / "file" / "shelf")
