"""The scheduler's promises: nothing lost, nothing twice, no budget exceeded, nobody starves."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.request import DecodingOptions
from service.engine.scheduler import Scheduler, SchedulerLimits
from service.engine.search import SearchInput
from service.errors import EngineFailed, Overloaded


def sentence(length, beam_size=1):
    """An input of so many pieces."""
    return SearchInput((7,) * length, DecodingOptions(beam_size))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 60), st.sampled_from([1, 4])), min_size=1, max_size=60))
def test_every_sentence_runs_once_within_budget(shapes):
    """The oldest is always in the batch, and only a sentence alone may exceed the budget."""
    limits = SchedulerLimits(batch_tokens=100, batch_rows=16)
    scheduler = Scheduler(limits, clock=lambda: 0.0)
    waiting = scheduler.submit([sentence(*shape) for shape in shapes])
    scheduler.close()
    seen = []
    while (batch := scheduler.next_batch()) is not None:
        oldest = next(t for t in waiting if id(t) not in seen)
        assert oldest in batch
        assert len({t.beam_size for t in batch}) == 1
        rows = sum(t.beam_size for t in batch)
        assert len(batch) == 1 or rows <= 16
        assert len(batch) == 1 or rows * max(t.length for t in batch) <= 100
        seen += map(id, batch)
    assert sorted(seen) == sorted(map(id, waiting))


def test_similar_lengths_are_joined():
    """A batch pads little."""
    scheduler = Scheduler(SchedulerLimits(batch_tokens=40), clock=lambda: 0.0)
    scheduler.submit([sentence(n) for n in (10, 40, 11, 39, 9)])
    batch = scheduler.next_batch()
    assert batch is not None
    assert sorted(t.length for t in batch) == [9, 10, 11]


def test_a_full_queue_turns_newcomers_away():
    """Overloaded says when to come back; what waits is kept."""
    scheduler = Scheduler(SchedulerLimits(waiting_tokens=50), clock=lambda: 0.0)
    scheduler.submit([sentence(80)])
    with pytest.raises(Overloaded) as refused:
        scheduler.submit([sentence(1)])
    assert refused.value.retry_after >= 1
    assert scheduler.waiting == (1, 80)


def test_cancelled_sentences_are_dropped():
    """A cancelled future gives its place away."""
    scheduler = Scheduler(SchedulerLimits(), clock=lambda: 0.0)
    first, second = scheduler.submit([sentence(3), sentence(4)])
    first.future.cancel()
    assert scheduler.next_batch() == [second]


def test_failing_fails_every_waiter():
    """Nobody hangs, and nobody is let in any more."""
    scheduler = Scheduler(SchedulerLimits(), clock=lambda: 0.0)
    tickets = scheduler.submit([sentence(3), sentence(4)])
    scheduler.fail("broken")
    for ticket in tickets:
        with pytest.raises(EngineFailed, match="broken"):
            ticket.future.result(0)
    with pytest.raises(EngineFailed, match="broken"):
        scheduler.submit([sentence(1)])
    assert scheduler.next_batch() is None
