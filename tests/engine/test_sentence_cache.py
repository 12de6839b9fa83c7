"""No sentence is decoded twice, and whoever leaves takes no answer away from others."""

import random
import threading
from collections import OrderedDict
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from service.engine.request import (
    Decoded,
    DecodingOptions,
    FinishReason,
    Hypothesis,
    Sampling,
    TargetPrefix,
)
from service.engine.search import SearchInput
from service.engine.sentence_cache import SentenceCache, size_of
from service.engine.waiting import Ticket
from service.errors import EngineFailed, Overloaded
from service.metrics import CACHE_RESULTS, Metrics, Readings
from tests.fakes import EchoModel, Gate, make_engine, wait_until

PLENTY = 1_000_000


def sentence(number=0, align=False, **options):
    """Sentences of one length, told apart by a piece."""
    return SearchInput((4, 20 + number, 3), DecodingOptions(**options), align)


def echo(asked, reason=FinishReason.EOS):
    """What an echo says of a sentence, after a second in the queue and two of decoding."""
    alignment = np.ones((2, 3), np.float32) if asked.align else None
    hypothesis = Hypothesis(tuple(asked.source[1:-1]), -1.0, -1.0, reason)
    return Decoded((hypothesis,), 1.0, 2.0, alignment)


ROOM = size_of(sentence(), echo(sentence()))
"""Bytes of one sentence."""


class Queue:
    """A scheduler without workers: the test answers."""

    def __init__(self):
        self.tickets, self.full, self.now = [], False, 0.0

    def submit(self, inputs, _standing):
        """Takes all or none."""
        if self.full:
            raise Overloaded(1.0)
        tickets = [Ticket(each, self.now) for each in inputs]
        self.tickets += tickets
        return tickets

    def answer(self, **changes):
        """Decodes everything that waits and was not given up."""
        tickets, self.tickets = self.tickets, []
        for ticket in tickets:
            if not ticket.future.cancelled():
                ticket.future.set_result(replace(echo(ticket.input), **changes))

    def fail(self):
        """Fails everything that waits."""
        tickets, self.tickets = self.tickets, []
        for ticket in tickets:
            ticket.future.set_exception(EngineFailed("decoding failed"))


class Desk:
    """A cache in front of such a queue, and its metrics."""

    def __init__(self, limit=PLENTY):
        self.queue, self.metrics = Queue(), Metrics()
        model = self.metrics.for_model("fake")
        self.cache = SentenceCache(limit, self.queue.submit, model, lambda: self.queue.now)
        model.watch(lambda: Readings(0, 0, 0, 0, *self.cache.held))

    def ask(self, *sentences):
        """The futures of a request's sentences."""
        return [ticket.future for ticket in self.cache.submit(sentences)]

    def tell(self, *sentences):
        """The futures, answered."""
        futures = self.ask(*sentences)
        self.queue.answer()
        return futures

    def knows(self, asked):
        """Whether it answers at once; leaves no trace but for the order of use."""
        (future,) = self.ask(asked)
        return future.done() or not future.cancel()

    def counted(self):
        """How many hits, joined and misses there were."""
        name = "seq2serve_sentence_cache_requests_total"
        read = self.metrics.registry.get_sample_value
        return tuple(
            read(name, {"model": "fake", "version": "1", "result": r}) for r in CACHE_RESULTS
        )


@pytest.fixture
def desk():
    """A cache with room for everything."""
    return Desk()


def said(future):
    """The pieces of the best hypothesis, which must be there by now."""
    return future.result(0).hypotheses[0].ids


def test_a_finished_sentence_is_answered_at_once(desk):
    """It has taken no time, neither in the queue nor to decode."""
    (first,) = desk.tell(sentence())
    assert (first.result(0).queue_seconds, first.result(0).decode_seconds) == (1.0, 2.0)
    (again,) = desk.ask(sentence())
    assert again.result(0) == replace(first.result(0), queue_seconds=0.0, decode_seconds=0.0)
    assert not desk.queue.tickets


def test_answers_are_in_the_order_of_the_questions(desk):
    """Whether known, under way, new or asked for twice."""
    desk.tell(sentence(1))
    desk.ask(sentence(2))
    futures = desk.ask(*map(sentence, (3, 2, 1, 3, 4, 2)))
    assert [ticket.input for ticket in desk.queue.tickets] == [*map(sentence, (2, 3, 4))]
    desk.queue.answer()
    assert [said(future) for future in futures] == [(n + 20,) for n in (3, 2, 1, 3, 4, 2)]


CHANGES = {
    "beam_size": 5,
    "n_best": 2,
    "length_penalty": 0.5,
    "max_target_length": 9,
    "repetition_penalty": 1.5,
    "no_repeat_ngram": 3,
    "target_prefix": TargetPrefix((20,)),
}


@pytest.mark.parametrize(
    "other",
    [
        *(sentence(**{"beam_size": 4, name: value}) for name, value in CHANGES.items()),
        sentence(beam_size=4, align=True),
        sentence(1, beam_size=4),
        SearchInput((5, 20, 3), DecodingOptions(beam_size=4)),
    ],
    ids=[*CHANGES, "align", "source", "target_tag"],
)
def test_whatever_changes_the_result_asks_anew(desk, other):
    """Each option, the alignment, a piece and the target's tag."""
    asked = sentence(beam_size=4)
    desk.tell(asked)
    assert desk.knows(asked)
    assert not desk.knows(other)


def test_no_option_is_forgotten():
    """Whoever adds one adds it above."""
    options = {field.name for field in fields(DecodingOptions)}
    assert {*CHANGES, "sampling"} == options
    assert {f.name for f in fields(SearchInput) if f.compare} == {"source", "options", "align"}


def test_what_chance_decides_is_neither_kept_nor_shared(desk):
    """Even the same seed is drawn again."""
    drawn = sentence(sampling=Sampling(seed=1))
    for future in desk.tell(drawn, drawn):
        assert said(future) == (20,)
    assert desk.cache.held == (0, 0)
    assert not desk.knows(drawn)
    assert desk.counted() == (0, 0, 0)


def test_a_list_and_a_tuple_of_the_same_ids_are_the_same_sentence(desk):
    """And a list that is changed later changes nothing."""
    ids = [4, 20, 3]
    desk.ask(SearchInput(ids, DecodingOptions()))
    ids[1] = 21
    desk.queue.answer()
    assert said(desk.ask(sentence())[0]) == (20,)


def test_the_sentence_that_was_used_least_recently_goes_first():
    """A hit is a use."""
    desk = Desk(3 * ROOM)
    desk.tell(*map(sentence, (1, 2, 3)))
    assert desk.knows(sentence(1))
    desk.tell(sentence(4))
    assert [desk.knows(sentence(n)) for n in (1, 3, 4)] == [True] * 3
    assert not desk.knows(sentence(2))


def test_the_bytes_are_bounded_and_told():
    """Long sentences take the room of several short ones."""
    desk = Desk(3 * ROOM)
    desk.tell(*map(sentence, range(3)))
    assert desk.cache.held == (3, 3 * ROOM)
    longer = replace(sentence(), source=(4, *range(20, 40), 3))
    desk.tell(longer)
    entries, size = desk.cache.held
    assert size_of(longer, echo(longer)) + (entries - 1) * ROOM == size <= 3 * ROOM
    read = desk.metrics.registry.get_sample_value
    labels = {"model": "fake", "version": "1"}
    assert read("seq2serve_sentence_cache_entries", labels) == entries
    assert read("seq2serve_sentence_cache_bytes", labels) == size


def test_what_is_larger_than_the_cache_drives_nothing_out():
    """It is answered and not kept."""
    desk = Desk(ROOM)
    desk.tell(sentence(1))
    (large,) = desk.tell(sentence(align=True))
    assert large.result(0).alignment is not None
    assert desk.cache.held == (1, ROOM)
    assert desk.knows(sentence(1))


def test_alignments_are_shared_and_so_read_only(desk):
    """Nobody can spoil what others get."""
    for future in [*desk.tell(sentence(align=True)), *desk.ask(sentence(align=True))]:
        with pytest.raises(ValueError, match="read-only"):
            future.result(0).alignment[0, 0] = 2.0


def test_a_sentence_that_was_cut_off_is_kept_as_it_is(desk):
    """The limit is one of its options."""
    (first,) = desk.ask(sentence(max_target_length=1))
    desk.queue.answer(hypotheses=echo(sentence(), FinishReason.LENGTH).hypotheses)
    (again,) = desk.ask(sentence(max_target_length=1))
    assert first.result(0).hypotheses == again.result(0).hypotheses
    assert again.result(0).hypotheses[0].finish_reason is FinishReason.LENGTH


def test_hits_joined_and_misses_are_counted(desk):
    """Every sentence is one of them."""
    assert desk.counted() == (0, 0, 0)
    desk.ask(sentence(1), sentence(1), sentence(2))
    assert desk.counted() == (0, 1, 2)
    desk.tell(sentence(2))
    desk.ask(sentence(2), sentence(3))
    assert desk.counted() == (1, 2, 3)


@pytest.mark.parametrize(
    ("arrived", "queue", "decode"), [(0.0, 1.0, 2.0), (0.5, 0.5, 2.0), (2.0, 0.0, 1.0), (9, 0, 0)]
)
def test_who_joins_late_has_waited_less(desk, arrived, queue, decode):
    """The seconds of a sentence are those that its caller spent."""
    desk.ask(sentence())
    desk.queue.now = arrived
    (late,) = desk.tell(sentence())
    assert (late.result(0).queue_seconds, late.result(0).decode_seconds) == (queue, decode)


def test_all_who_listen_hear_of_one_decoding(desk):
    """Whoever joins late hears the rest; who listens makes no difference to what is kept."""
    first, late = [], []
    desk.ask(replace(sentence(), progress=first.append), sentence())
    (ticket,) = desk.queue.tickets
    ticket.input.progress([20])
    desk.ask(replace(sentence(), progress=late.append))
    assert len(desk.queue.tickets) == 1
    ticket.input.progress([20, 21])
    assert (first, late) == ([[20], [20, 21]], [[20, 21]])
    desk.queue.answer()
    assert desk.knows(sentence())


def test_a_listener_is_heard_that_is_not_the_first_of_its_request(desk):
    """The request's equal sentences are one decoding, and one of them listens."""
    heard = []
    desk.ask(sentence(), replace(sentence(), progress=heard.append))
    (ticket,) = desk.queue.tickets
    ticket.input.progress([20])
    assert heard == [[20]]


def test_a_listener_that_joins_those_who_do_not_gets_its_answer(desk):
    """It hears nothing on the way, and nothing is decoded twice."""
    heard = []
    desk.ask(sentence())
    (future,) = desk.tell(replace(sentence(), progress=heard.append))
    assert said(future) == (20,)
    assert heard == []


@pytest.mark.parametrize("leaver", [0, 1, 2])
def test_others_get_their_answer_when_one_leaves(desk, leaver):
    """Be it the first, one of the same request, or the last."""
    futures = [*desk.ask(sentence(), sentence()), *desk.ask(sentence())]
    assert futures[leaver].cancel()
    assert not desk.queue.tickets[0].future.cancelled()
    desk.queue.answer()
    stayed = [future for i, future in enumerate(futures) if i != leaver]
    assert [said(future) for future in stayed] == [(20,), (20,)]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_work_is_dropped_when_the_last_one_leaves(desk, order):
    """Not before, and whatever the order; the next one begins anew."""
    futures = [*desk.ask(sentence()), *desk.ask(sentence()), *desk.ask(sentence())]
    (ticket,) = desk.queue.tickets
    for i in order:
        assert not ticket.future.cancelled()
        assert futures[i].cancel()
    assert ticket.future.cancelled()
    (newcomer,) = desk.tell(sentence())
    assert said(newcomer) == (20,)
    assert desk.counted() == (0, 2, 2)


@pytest.mark.parametrize("fails", [False, True])
def test_a_worker_that_is_too_far_to_stop_does_no_harm(desk, fails):
    """All have left and others have come when the first decoding ends after all."""
    (gone,) = desk.ask(sentence())
    running = desk.queue.tickets.pop()
    running.future.set_running_or_notify_cancel()
    assert gone.cancel()
    (newcomer,) = desk.ask(sentence())
    if fails:
        running.future.set_exception(EngineFailed("decoding failed"))
    else:
        running.future.set_result(echo(sentence()))
    assert not newcomer.done()
    (later,) = desk.ask(sentence())
    assert desk.counted() == ((0, 1, 2) if fails else (1, 0, 2))
    desk.queue.answer()
    assert said(newcomer) == said(later) == (20,)
    assert desk.cache.held == (1, ROOM)


def test_who_leaves_during_delivery_keeps_it_from_nobody(desk):
    """The first one's answer makes the second one leave; the third still gets its own."""
    first, second, third = desk.ask(*[sentence()] * 3)
    first.add_done_callback(lambda _: second.cancel())
    desk.queue.answer()
    assert said(first) == said(third) == (20,)
    assert second.cancelled()


def test_a_scheduler_that_gives_up_leaves_nobody_waiting(desk):
    """Nobody asked it to, but nobody hangs."""
    (future,) = desk.ask(sentence())
    desk.queue.tickets[0].future.cancel()
    with pytest.raises(CancelledError):
        future.result(0)


def test_a_failure_reaches_all_and_is_not_kept(desk):
    """The next caller may have more luck."""
    futures = [*desk.ask(sentence(), sentence()), *desk.ask(sentence())]
    desk.queue.fail()
    for future in futures:
        with pytest.raises(EngineFailed, match="decoding failed"):
            future.result(0)
    assert desk.cache.held == (0, 0)
    assert said(desk.tell(sentence())[0]) == (20,)


def test_who_is_turned_away_leaves_no_trace(desk):
    """Neither in the counts nor among those that wait; what is known needs no queue."""
    desk.tell(sentence(1))
    (waiting,) = desk.ask(sentence(2))
    desk.queue.full = True
    before = desk.counted()
    with pytest.raises(Overloaded):
        desk.ask(*map(sentence, (1, 2, 3)))
    assert desk.counted() == before
    assert waiting.cancel()
    assert desk.queue.tickets[0].future.cancelled()  # so nobody had joined
    assert said(desk.ask(sentence(1))[0]) == (21,)
    desk.queue.full = False
    assert said(desk.tell(sentence(3))[0]) == (23,)


def test_an_answer_may_be_there_before_the_ticket():
    """A worker can be that fast."""

    def submit(inputs, _bulk):
        tickets = [Ticket(each, 0.0) for each in inputs]
        for ticket in tickets:
            ticket.future.set_result(echo(ticket.input))
        return tickets

    cache = SentenceCache(PLENTY, submit, Metrics().for_model("fake"))
    assert [said(ticket.future) for ticket in cache.submit([sentence()] * 2)] == [(20,)] * 2
    assert cache.held == (1, ROOM)


class AnyOrder(RuleBasedStateMachine):
    """Callers come and leave, sentences end and fail, in any order, and everybody is right."""

    numbers = st.integers(0, 3)

    def __init__(self):
        super().__init__()
        self.desk = Desk(2 * ROOM)
        self.waiting: dict[int, list] = {}
        self.known: OrderedDict[int, None] = OrderedDict()

    @rule(numbers=st.lists(numbers, min_size=1, max_size=4), full=st.booleans())
    def ask(self, numbers, full):
        """One request; the queue may have no room for what is new."""
        self.desk.queue.full = full
        new = {n for n in numbers if n not in self.known and n not in self.waiting}
        if new and full:
            with pytest.raises(Overloaded):
                self.desk.ask(*map(sentence, numbers))
            return
        for number, future in zip(numbers, self.desk.ask(*map(sentence, numbers)), strict=True):
            if number in self.known:
                assert said(future) == (20 + number,)
                self.known.move_to_end(number)
            else:
                assert not future.done()
                self.waiting.setdefault(number, []).append(future)

    @rule(data=st.data())
    def leave(self, data):
        """Somebody who waits does so no more."""
        if self.waiting:
            number = data.draw(st.sampled_from(sorted(self.waiting)))
            place = data.draw(st.integers(0, len(self.waiting[number]) - 1))
            assert self.waiting[number].pop(place).cancel()
            if not self.waiting[number]:
                del self.waiting[number]

    @rule(data=st.data(), fails=st.booleans())
    def end(self, data, fails):
        """A sentence that somebody waits for is decoded, or it cannot be."""
        if self.waiting:
            number = data.draw(st.sampled_from(sorted(self.waiting)))
            (ticket,) = (t for t in self.running() if t.input == sentence(number))
            if fails:
                ticket.future.set_exception(EngineFailed("decoding failed"))
            else:
                ticket.future.set_result(echo(ticket.input))
                self.known[number] = None
                if len(self.known) > 2:
                    self.known.popitem(last=False)
            for future in self.waiting.pop(number):
                if fails:
                    assert isinstance(future.exception(0), EngineFailed)
                else:
                    assert said(future) == (20 + number,)

    def running(self):
        """The tickets that a worker would still decode."""
        return [ticket for ticket in self.desk.queue.tickets if not ticket.future.done()]

    @invariant()
    def nothing_is_decoded_twice_or_for_nobody(self):
        """One ticket for each sentence that somebody waits for, and none besides."""
        running = sorted(ticket.input.source[1] - 20 for ticket in self.running())
        assert running == sorted(self.waiting)
        assert self.desk.cache.held == (len(self.known), len(self.known) * ROOM)


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestAnyOrder = AnyOrder.TestCase


class CountingModel(EchoModel):
    """Knows how often each sentence was read."""

    def __init__(self, **options):
        super().__init__(**options)
        self.sources = []

    def encode(self, sources, beam_size=1):
        """Writes them down."""
        self.sources += map(tuple, sources)
        return super().encode(sources, beam_size)


def test_threads_that_ask_at_once_share_one_decoding():
    """All come while the first one's sentence is being decoded."""
    gate = Gate()
    model = CountingModel(before_step=gate)
    engine = make_engine(model, cache_bytes=PLENTY)
    (first,) = engine.submit([sentence()])
    assert gate.reached.wait(10)
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(engine.submit, [sentence()]) for _ in range(8)]
        joined = [ticket for future in asked for ticket in future.result(10)]
    assert first.future.cancel()
    gate.opened.set()
    assert [ticket.future.result(10).hypotheses[0].ids for ticket in joined] == [(20,)] * 8
    assert model.sources == [(4, 20, 3)]
    engine.close()


def test_rows_are_freed_when_all_have_left():
    """The worker sees that nobody waits, as without a cache."""
    gate = Gate()
    model = EchoModel(before_step=gate)
    engine = make_engine(model, cache_bytes=PLENTY)
    tickets = engine.submit([SearchInput((4, *[20] * 30, 3), DecodingOptions())] * 2)
    assert gate.reached.wait(10)
    for ticket in tickets:
        assert ticket.future.cancel()
    gate.opened.set()
    engine.close()
    assert len(model.rows_seen) <= 2


def test_a_dying_worker_fails_all_who_joined():
    """Queued or running, nobody hangs, and what is not known is refused from then on."""
    gate = Gate()

    def die(step):
        gate(step)
        raise KeyboardInterrupt

    engine = make_engine(EchoModel(before_step=die), cache_bytes=PLENTY)
    tickets = engine.submit([sentence(1)] * 2)
    assert gate.reached.wait(10)
    tickets += engine.submit([sentence(2), sentence(1), sentence(2)])
    gate.opened.set()
    for ticket in tickets:
        with pytest.raises(EngineFailed):
            ticket.future.result(10)
    wait_until(lambda: not engine.healthy)
    with pytest.raises(EngineFailed):
        engine.submit([sentence(1)])


def test_closing_answers_those_who_joined():
    """Nothing that was accepted is lost."""
    engine = make_engine(cache_bytes=PLENTY)
    tickets = engine.submit([sentence(n % 5) for n in range(20)])
    engine.close()
    assert [said(ticket.future) for ticket in tickets] == [(20 + n % 5,) for n in range(20)]


def test_without_a_cache_every_sentence_is_decoded():
    """As measurements need it."""
    model = CountingModel()
    engine = make_engine(model)
    for ticket in engine.submit([sentence()] * 3):
        ticket.future.result(10)
    engine.close()
    assert model.sources == [(4, 20, 3)] * 3


def test_many_threads_get_the_right_answers():
    """They ask for the same few sentences, leave now and then, and the cache is too small."""
    engine = make_engine(cache_bytes=4 * ROOM)
    start = threading.Barrier(8)

    def call(seed):
        choice = random.Random(seed)
        start.wait(10)
        for _ in range(30):
            numbers = [choice.randrange(10) for _ in range(choice.randint(1, 4))]
            tickets = engine.submit([sentence(number) for number in numbers])
            for number, ticket in zip(numbers, tickets, strict=True):
                if choice.random() < 0.3 and ticket.future.cancel():
                    continue
                assert ticket.future.result(10).hypotheses[0].ids == (20 + number,)

    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(call, seed) for seed in range(8)]:
            done.result(60)
    engine.close()
    assert engine.scheduler.waiting == (0, 0)
