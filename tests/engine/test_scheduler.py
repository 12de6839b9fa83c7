"""The scheduler's promises: nothing lost, nothing twice, no budget exceeded, nobody starves."""

import threading
from concurrent.futures import Future
from functools import partial
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.request import Decoded, DecodingOptions
from service.engine.scheduler import PATIENCE, Scheduler, SchedulerLimits
from service.engine.search import SearchInput
from service.engine.waiting import Standing
from service.errors import EngineFailed, Overloaded


def sentence(length, beam_size=1):
    """An input of so many pieces."""
    return SearchInput((7,) * length, DecodingOptions(beam_size))


def scheduler_of(**limits):
    """A scheduler whose clock stands still."""
    return Scheduler(SchedulerLimits(**limits), clock=lambda: 0.0)


def lengths_of_batches(scheduler):
    """Closes it and takes everything."""
    scheduler.close()
    return [[t.length for t in batch] for batch in iter(lambda: scheduler.take(0, []), None)]


shapes = st.lists(st.tuples(st.integers(1, 60), st.sampled_from([1, 4])), min_size=1, max_size=60)


@settings(max_examples=150, deadline=None)
@given(shapes, st.integers(1, 3), st.integers(1, 16), st.integers(0, 10_000))
def test_every_sentence_runs_once_within_budget(shapes, workers, batch_rows, seed):
    """Fails when anybody is lost, served twice or passed over, or when more runs than the budget
    allows, but for a sentence that runs alone: workers ask in any order while sentences arrive and
    finish at random."""
    random = Random(seed)
    limits = SchedulerLimits(batch_tokens=100, batch_rows=batch_rows)
    scheduler = Scheduler(limits, workers, clock=lambda: 0.0)
    running = [[] for _ in range(workers)]
    waiting, served, coming = [], [], list(shapes)
    while coming or waiting or any(running):
        if coming and random.random() < 0.5:
            count = random.randint(1, 5)
            waiting += scheduler.submit([sentence(*shape) for shape in coming[:count]])
            waiting.sort(key=lambda ticket: ticket.due)
            del coming[:count]
        worker = random.randrange(workers)
        now = running[worker]
        if not now and not waiting:
            continue  # it would wait
        random.shuffle(now)
        del now[: random.randint(0, len(now))]
        chosen = scheduler.take(worker, now) if now or may_take(scheduler, worker) else []
        if chosen:
            assert waiting[0] in chosen
            assert len({ticket.beam_size for ticket in chosen}) == 1
        now += chosen
        served += chosen
        waiting = [ticket for ticket in waiting if ticket not in chosen]
        rows = sum(ticket.beam_size for ticket in now)
        longest = max((ticket.length for ticket in now), default=0)
        assert len(now) <= 1 or (rows <= batch_rows and rows * longest <= 100)
    assert len(served) == len(set(served)) == len(shapes)
    assert scheduler.waiting == (0, 0)


def may_take(scheduler, worker):
    """Whether an idle worker would get something at once."""
    scheduler._running[worker] = 0
    return scheduler._share(worker) > 0


def test_idle_workers_share_what_waits():
    """Each takes its part, and one that has more than its part leaves the rest to the others."""
    scheduler = Scheduler(SchedulerLimits(), workers=2)
    scheduler.submit([sentence(5)] * 8)
    first = scheduler.take(0, [])
    assert len(first) == 4
    assert scheduler.take(0, first) == []
    second = scheduler.take(1, [])
    assert len(second) == 4
    scheduler.submit([sentence(5)])
    assert len(scheduler.take(1, second)) == 1


def test_newcomers_join_what_runs():
    """As many as there is room for."""
    scheduler = scheduler_of(batch_rows=4)
    running = scheduler.submit([sentence(5)] * 3)
    assert scheduler.take(0, []) == running
    scheduler.submit([sentence(5)] * 3)
    joining = scheduler.take(0, running)
    assert len(joining) == 1
    assert scheduler.take(0, [*running, *joining]) == []
    assert len(scheduler.take(0, running[:1])) == 2


def test_newcomers_join_in_groups():
    """Fewer than a quarter of what runs wait for others, but a few steps only."""
    scheduler = scheduler_of(batch_rows=64)
    running = scheduler.submit([sentence(5)] * 32)
    scheduler.take(0, [])
    first = scheduler.submit([sentence(5)])
    assert scheduler.take(0, running) == []
    more = scheduler.submit([sentence(5)] * 7)
    assert scheduler.take(0, running) == first + more
    [lonely] = scheduler.submit([sentence(5)])
    for _ in range(PATIENCE):
        assert scheduler.take(0, running) == []
    assert scheduler.take(0, running) == [lonely]


def test_newcomers_join_a_few_at_once():
    """Where little runs, nobody waits for company."""
    scheduler = scheduler_of()
    running = scheduler.submit([sentence(5)] * 7)
    scheduler.take(0, [])
    newcomer = scheduler.submit([sentence(5)])
    assert scheduler.take(0, running) == newcomer


def test_wide_beams_wait_until_there_is_room_for_them():
    """And nobody passes them meanwhile."""
    scheduler = scheduler_of(batch_rows=8)
    running = scheduler.submit([sentence(5)] * 6)
    scheduler.take(0, [])
    wide, narrow = scheduler.submit([sentence(5, beam_size=4), sentence(5)])
    assert scheduler.take(0, running) == []
    assert scheduler.take(0, running[2:]) == [wide]
    assert scheduler.take(0, [*running[2:5], wide]) == [narrow]


def test_what_cannot_be_joined_runs_to_its_end():
    """Nobody is handed out to a worker whose model takes no newcomers."""
    scheduler = scheduler_of()
    running = scheduler.submit([sentence(5)])
    assert scheduler.take(0, [], joinable=False) == running
    later = scheduler.submit([sentence(5)])
    assert scheduler.take(0, running, joinable=False) == []
    assert scheduler.take(0, [], joinable=False) == later


def test_similar_lengths_are_joined():
    """A batch pads little."""
    scheduler = Scheduler(SchedulerLimits(batch_tokens=40), clock=lambda: 0.0)
    scheduler.submit([sentence(n) for n in (10, 40, 11, 39, 9)])
    batch = scheduler.take(0, [])
    assert batch is not None
    assert sorted(t.length for t in batch) == [9, 10, 11]


def test_a_full_queue_turns_newcomers_away():
    """Fails when the queue has no bound in tokens, or loses what waits; Overloaded says when to
    come back."""
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
    assert scheduler.take(0, []) == [second]


def test_without_workers_nobody_waits():
    """Fails when those in the queue are left to wait for a worker that has died: they learn of it
    at once, newcomers too, and with its successor all is well."""
    scheduler = scheduler_of()
    tickets = scheduler.submit([sentence(3), sentence(4)])
    tickets[0].future.cancel()
    scheduler.lose(0)
    assert tickets[0].future.cancelled()
    for call in (lambda: tickets[1].future.result(0), lambda: scheduler.submit([sentence(1)])):
        with pytest.raises(EngineFailed, match="are being replaced"):
            call()
    assert not scheduler.complete
    scheduler.replace(0)
    assert scheduler.complete
    [ticket] = scheduler.submit([sentence(3)])
    assert scheduler.take(0, []) == [ticket]


def test_other_workers_take_the_part_of_a_dead_one():
    """Fails when a dead worker's share is kept for it."""
    scheduler = Scheduler(SchedulerLimits(), workers=2)
    scheduler.submit([sentence(5)] * 8)
    taken = scheduler.take(1, [])
    assert len(taken) == 4
    tickets = scheduler.submit([sentence(5)] * 4)
    scheduler.lose(1)
    assert len(scheduler.take(0, [])) == 4 + len(tickets)


def test_equal_sentences_leave_in_order_of_arrival():
    """Where lengths tell nothing, who came first is served first."""
    scheduler = scheduler_of(batch_rows=2)
    tickets = [scheduler.submit([sentence(5)])[0] for _ in range(5)]
    scheduler.close()
    served = [ticket for batch in iter(lambda: scheduler.take(0, []), None) for ticket in batch]
    assert list(map(id, served)) == list(map(id, tickets))


def test_a_ticket_knows_when_it_arrived():
    """The time is that of the clock that was passed in."""
    times = iter([3.0, 4.5])
    scheduler = Scheduler(SchedulerLimits(), clock=lambda: next(times))
    assert [scheduler.submit([sentence(1)])[0].arrived for _ in range(2)] == [3.0, 4.5]


def test_callers_share_a_batch():
    """Sentences of different submissions are decoded together."""
    scheduler = scheduler_of()
    for _ in range(3):
        scheduler.submit([sentence(4), sentence(4)])
    assert lengths_of_batches(scheduler) == [[4] * 6]


def test_the_first_is_taken_however_unlike_the_others_it_is():
    """Nobody is passed over for ever."""
    scheduler = scheduler_of(batch_rows=2)
    scheduler.submit([sentence(90)])
    scheduler.submit([sentence(5)] * 4)
    assert lengths_of_batches(scheduler) == [[90, 5], [5, 5], [5]]


def test_a_sentence_above_the_budget_is_a_batch_of_its_own():
    """It is not stuck, and it does not take others with it."""
    scheduler = scheduler_of(batch_tokens=10)
    scheduler.submit([sentence(30), sentence(2), sentence(2)])
    assert lengths_of_batches(scheduler) == [[30], [2, 2]]


def test_a_refused_request_leaves_nothing_behind():
    """All of its sentences are queued, or none."""
    scheduler = scheduler_of(waiting_tokens=30)
    scheduler.submit([sentence(20)])
    with pytest.raises(Overloaded):
        scheduler.submit([sentence(5), sentence(6)])
    assert scheduler.waiting == (1, 20)
    scheduler.submit([sentence(10)])


def test_the_time_to_come_back_follows_the_measured_speed():
    """Fails when it stays a guess: it is one at first, then what workers manage; never less than a
    second."""
    scheduler = scheduler_of(waiting_tokens=100_000)
    scheduler.submit([sentence(100_000)])

    def retry_after():
        with pytest.raises(Overloaded) as refused:
            scheduler.submit([sentence(1)])
        return refused.value.retry_after

    assert retry_after() == pytest.approx(100.0)
    for _ in range(1000):
        scheduler.report_speed(tokens=10_000, seconds=1.0)
    assert retry_after() == pytest.approx(10.0, rel=0.01)
    for _ in range(1000):
        scheduler.report_speed(tokens=10**9, seconds=0.0)
    assert retry_after() == 1.0


def test_cancelled_sentences_make_room_for_newcomers():
    """A queue full of sentences that nobody waits for is empty."""
    scheduler = scheduler_of(waiting_tokens=10)
    for ticket in scheduler.submit([sentence(5), sentence(5)]):
        ticket.future.cancel()
    assert scheduler.waiting == (0, 0)
    scheduler.submit([sentence(10)])
    assert scheduler.waiting == (1, 10)


def test_closing_drains_the_queue_and_then_says_none():
    """What was accepted is handed out; after that workers are told to go, every time."""
    scheduler = scheduler_of(batch_rows=1)
    scheduler.submit([sentence(3), sentence(4)])
    assert lengths_of_batches(scheduler) == [[3], [4]]
    assert scheduler.take(0, []) is None


def test_a_closed_scheduler_takes_nothing():
    """The reason is that of whoever closed it first."""
    scheduler = scheduler_of()
    assert scheduler.open
    scheduler.close("going home")
    scheduler.close("again")
    assert not scheduler.open
    with pytest.raises(EngineFailed, match="going home"):
        scheduler.submit([sentence(1)])


def asking_worker(scheduler):
    """Asks for a batch in another thread; the answer comes in the future."""
    answer = Future()
    thread = threading.Thread(target=lambda: answer.set_result(scheduler.take(0, [])))
    thread.daemon = True
    thread.start()
    return answer


def test_a_waiting_worker_is_woken_by_work():
    """It gets the sentence that came."""
    scheduler = scheduler_of()
    answer = asking_worker(scheduler)
    [ticket] = scheduler.submit([sentence(3)])
    assert answer.result(10) == [ticket]


def test_all_waiting_workers_are_sent_home():
    """Closing wakes every worker."""
    scheduler = scheduler_of()
    answers = [asking_worker(scheduler) for _ in range(3)]
    scheduler.close("over")
    assert [answer.result(10) for answer in answers] == [None] * 3


def test_many_threads_share_one_queue():
    """Callers and workers side by side: every sentence is handed out exactly once."""
    scheduler = scheduler_of(batch_rows=3)
    submitted, served = [], []

    def work():
        for batch in iter(lambda: scheduler.take(0, []), None):
            served.extend(map(id, batch))
            for ticket in batch:
                ticket.future.set_result(Decoded((), 0.0, 0.0))

    def call():
        for length in range(1, 30):
            submitted.extend(scheduler.submit([sentence(length)]))

    workers, callers = ([threading.Thread(target=f) for _ in range(3)] for f in (work, call))
    for thread in (*workers, *callers):
        thread.start()
    for thread in callers:
        thread.join(10)
    scheduler.close()
    for thread in workers:
        thread.join(10)
    assert sorted(served) == sorted(map(id, submitted))
    assert all(ticket.future.done() for ticket in submitted)


def test_the_count_of_sentences_is_bounded_too():
    """Fails when only their tokens are: a million short sentences fill the memory."""
    scheduler = scheduler_of(waiting_sentences=3)
    scheduler.submit([sentence(1)] * 2)
    with pytest.raises(Overloaded):
        scheduler.submit([sentence(1)] * 2)
    scheduler.submit([sentence(1)])


def served_first(scheduler):
    """Lengths, in the order in which one worker that runs one sentence at a time takes them."""
    return [length for [length] in lengths_of_batches(scheduler)]


def test_a_short_request_does_not_wait_for_the_rest_of_a_long_one():
    """Fails when sentences are served in order of arrival: each of the long request is due when
    those before it would be done."""
    now = [0.0]
    scheduler = Scheduler(SchedulerLimits(batch_rows=1), clock=lambda: now[0])
    scheduler.submit([sentence(100)] * 5)  # at 1,000 pieces a second: due every 0.1 s
    now[0] = 0.25
    scheduler.submit([sentence(7)])
    assert served_first(scheduler) == [100, 100, 100, 7, 100, 100]


def test_time_brings_bulk_to_the_front():
    """Fails when bulk comes last whatever its age: it yields to what comes within half a minute,
    and nobody passes it later."""
    now = [0.0]
    scheduler = Scheduler(SchedulerLimits(batch_rows=1), clock=lambda: now[0])
    scheduler.submit([sentence(9)], standing=Standing.BULK)
    for now[0] in (1.0, 29.0, 31.0):
        scheduler.submit([sentence(5)])
    assert served_first(scheduler) == [5, 5, 9, 5]


def test_bulk_leaves_room_in_the_queue():
    """Fails when a queue full of bulk turns people away."""
    scheduler = scheduler_of(waiting_tokens=100)
    scheduler.submit([sentence(50)], standing=Standing.BULK)
    with pytest.raises(Overloaded):
        scheduler.submit([sentence(1)], standing=Standing.BULK)
    scheduler.submit([sentence(50)])


def test_what_was_let_in_before_is_never_turned_away():
    """Fails when a part of an accepted request meets a full queue."""
    scheduler = scheduler_of(waiting_tokens=10, waiting_sentences=1)
    scheduler.submit([sentence(10)])
    scheduler.submit([sentence(5)], Standing.ACCEPTED)
    assert scheduler.waiting == (2, 15)


def test_a_rejection_costs_no_walk_along_the_queue():
    """Fails when those that have left are looked for at every rejection, although nobody left:
    when the queue is full, rejections are many, and workers wait for the same lock."""
    scheduler = scheduler_of(waiting_tokens=100)
    tickets = scheduler.submit([sentence(1)] * 100)
    asked = [0]

    def cancelled(future):
        asked[0] += 1
        return Future.cancelled(future)

    for ticket in tickets:
        ticket.future.cancelled = partial(cancelled, ticket.future)
    for _ in range(10):
        with pytest.raises(Overloaded):
            scheduler.submit([sentence(1)])
    assert asked == [0]
    tickets[0].future.cancel()
    scheduler.submit([sentence(1)])
