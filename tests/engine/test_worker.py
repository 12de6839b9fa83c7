"""Whatever happens to a model, no waiter is forgotten."""

import time
from dataclasses import replace

import pytest

from service.engine.request import DecodingOptions
from service.engine.search import SearchInput
from service.engine.supervisor import Backoff
from service.errors import EngineFailed
from service.metrics import Metrics
from tests.fakes import EchoModel, Gate, make_engine, wait_until

SENTENCE = SearchInput((4, 20, 21, 22, 3), DecodingOptions())
LONG = SearchInput((4, *[20] * 9, 3), DecodingOptions())


def test_results_arrive():
    """The echo comes back."""
    engine = make_engine()
    (ticket,) = engine.submit([SENTENCE])
    assert ticket.future.result(10).hypotheses[0].ids == (20, 21, 22)
    engine.close()


def test_a_failing_model_fails_its_batch_and_goes_on():
    """Fails when an error ends the worker, or leaves anybody of its batch waiting: all of them
    learn of it, and the next batch is decoded."""

    def fail_first(number):
        if number == 0 and not failed:
            failed.append(number)
            raise RuntimeError("out of luck")

    failed: list[int] = []
    engine = make_engine(EchoModel(before_step=fail_first))
    tickets = engine.submit([SENTENCE, SENTENCE])
    for ticket in tickets:
        with pytest.raises(EngineFailed, match="decoding failed"):
            ticket.future.result(10)
    (ticket,) = engine.submit([SENTENCE])
    assert ticket.future.result(10).hypotheses
    assert engine.healthy
    engine.close()


def test_a_dying_worker_fails_all_that_wait_and_is_replaced():
    """Fails when nobody notices the death: whoever waits learns of it at once, the engine is not
    healthy until a successor is there, and then it takes work again."""
    gate, died = Gate(), []

    def die_once(number):
        gate(number)
        if not died:
            died.append(number)
            raise KeyboardInterrupt

    metrics = Metrics()
    engine = make_engine(EchoModel(before_step=die_once), metrics=metrics)
    running = engine.submit([SENTENCE])
    assert gate.reached.wait(10)
    waiting = engine.submit([SENTENCE] * 3)
    gate.opened.set()
    for ticket in [*running, *waiting]:
        with pytest.raises(EngineFailed):
            ticket.future.result(10)
    wait_until(lambda: engine.healthy)
    (ticket,) = engine.submit([SENTENCE])
    assert ticket.future.result(10).hypotheses
    engine.close()
    labels = {"model": "fake", "version": "1"}
    assert metrics.registry.get_sample_value("seq2serve_worker_deaths_total", labels) == 1


def test_a_worker_that_dies_between_two_steps_is_missed_too():
    """Fails when only a step that fails answers for its sentences: those of a worker that ended
    elsewhere would wait for ever."""
    engine = make_engine()
    report = engine.scheduler.report_speed

    def die_once(*_):
        engine.scheduler.report_speed = report
        raise SystemExit

    engine.scheduler.report_speed = die_once
    (ticket,) = engine.submit([LONG])
    with pytest.raises(EngineFailed, match="decoding failed"):
        ticket.future.result(10)
    wait_until(lambda: engine.healthy)
    engine.close()


def test_a_death_is_followed_by_a_pause():
    """Fails when a successor begins at once."""
    died = []

    def die(_):
        died.append(1)
        raise SystemExit

    engine = make_engine(EchoModel(before_step=die), backoff=Backoff(first=3600))
    (ticket,) = engine.submit([SENTENCE])
    with pytest.raises(EngineFailed):
        ticket.future.result(10)
    wait_until(lambda: engine.supervisor._posts[0].replace_at is not None)
    assert engine.supervisor._until_next() > 0
    assert engine.supervisor._posts[0].replace_at - time.monotonic() > 5
    engine.close()


def test_an_engine_without_workers_is_not_healthy():
    """Fails when readiness does not tell that the only worker is dead."""

    def die(_):
        raise SystemExit

    engine = make_engine(EchoModel(before_step=die), backoff=Backoff(first=3600))
    (ticket,) = engine.submit([SENTENCE])
    with pytest.raises(EngineFailed):
        ticket.future.result(10)
    wait_until(lambda: not engine.healthy)
    with pytest.raises(EngineFailed, match="are being replaced"):
        engine.submit([SENTENCE])
    engine.close()


def test_pauses_grow_with_every_death_in_a_row():
    """Fails when a model that kills its workers keeps the machine busy with dying."""
    backoff = Backoff(first=0.5, longest=30.0)
    assert [backoff.pause(deaths) for deaths in (1, 2, 3, 8, 10_000)] == [0.5, 1, 2, 30, 30]
    assert [backoff.in_a_row(3, lived) for lived in (0.1, 19, 21)] == [4, 4, 1]


def test_a_cancelled_sentence_frees_its_row():
    """The rows of a caller that has gone are out of the batch at the next step."""
    gate = Gate()
    model = EchoModel(before_step=lambda step: gate(step) if step == 2 else None)
    engine = make_engine(model)
    stays, leaves = engine.submit([LONG, LONG])
    assert gate.reached.wait(10)
    leaves.future.cancel()
    gate.opened.set()
    assert stays.future.result(10).hypotheses[0].ids == (20,) * 9
    assert model.rows_seen[:4] == [2, 2, 2, 1]
    engine.close()


def test_closing_answers_what_was_accepted():
    """Nothing that was accepted is lost."""
    engine = make_engine()
    tickets = engine.submit([SENTENCE] * 20)
    engine.close()
    assert all(ticket.future.result(0).hypotheses for ticket in tickets)


def test_a_short_sentence_is_answered_before_a_long_one_of_its_batch():
    """Results are delivered one by one, not when the batch is through."""
    gate = Gate()
    engine = make_engine(EchoModel(before_step=lambda step: gate(step) if step == 4 else None))
    short, long = engine.submit([SENTENCE, LONG])
    assert gate.reached.wait(10)
    assert short.future.result(0).hypotheses[0].ids == (20, 21, 22)
    assert not long.future.done()
    gate.opened.set()
    assert long.future.result(10).hypotheses[0].ids == (20,) * 9
    engine.close()


def test_a_batch_that_fails_halfway_keeps_what_was_answered():
    """A sentence that was finished before the failure has its result."""

    def fail_at_step_four(number):
        if number == 4:
            raise RuntimeError("out of luck")

    engine = make_engine(EchoModel(before_step=fail_at_step_four))
    short, long = engine.submit([SENTENCE, LONG])
    assert short.future.result(10).hypotheses
    with pytest.raises(EngineFailed, match="decoding failed"):
        long.future.result(10)
    engine.close()


def test_the_other_worker_goes_on():
    """Fails when one death ends the engine: half of it answers, and says that it is half."""
    died: list[int] = []

    def die_once(number):
        if not died:
            died.append(number)
            raise SystemExit

    engine = make_engine(EchoModel(before_step=die_once), workers=2, backoff=Backoff(first=3600))
    (ticket,) = engine.submit([SENTENCE])
    with pytest.raises(EngineFailed, match="decoding failed"):
        ticket.future.result(10)
    wait_until(lambda: not engine.healthy)
    tickets = engine.submit([SENTENCE] * 4)
    assert all(ticket.future.result(10).hypotheses for ticket in tickets)
    assert not engine.healthy
    engine.close()


def test_a_result_for_nobody_does_no_harm():
    """A caller may leave during the last step."""
    gate = Gate()
    engine = make_engine(EchoModel(before_step=gate))
    (ticket,) = engine.submit([SearchInput((4, 3), DecodingOptions())])
    assert gate.reached.wait(10)
    assert ticket.future.cancel()
    gate.opened.set()
    (next_one,) = engine.submit([SENTENCE])
    assert next_one.future.result(10).hypotheses
    engine.close()


def test_newcomers_join_between_two_steps():
    """A sentence that comes later does not wait for those that run, and overtakes a longer one."""
    gate = Gate()
    model = EchoModel(before_step=lambda step: gate(step) if step == 1 else None)
    engine = make_engine(model)
    (long,) = engine.submit([LONG])
    assert gate.reached.wait(10)
    (short,) = engine.submit([SENTENCE])
    gate.opened.set()
    assert short.future.result(10).hypotheses[0].ids == (20, 21, 22)
    assert long.future.result(10).hypotheses[0].ids == (20,) * 9
    assert model.rows_seen[:3] == [1, 1, 2]
    engine.close()


def test_greedy_and_beams_run_side_by_side():
    """Sentences of different beam sizes take turns, step by step."""
    gate = Gate()
    model = EchoModel(before_step=lambda step: gate(step) if step == 1 else None)
    engine = make_engine(model)
    (greedy,) = engine.submit([LONG])
    assert gate.reached.wait(10)
    (beam,) = engine.submit([SearchInput(LONG.source, DecodingOptions(3))])
    gate.opened.set()
    for ticket in (greedy, beam):
        assert ticket.future.result(10).hypotheses[0].ids == (20,) * 9
    assert model.rows_seen[:6] == [1, 1, 1, 3, 1, 3]
    engine.close()


def test_a_failing_search_leaves_the_other_alone():
    """Beams fail, greedy sentences of the same worker go on."""
    gate = Gate()

    def fail_with_beams(step):
        if step == 1:
            gate(step)
        if step == 3 and not failed:
            failed.append(step)
            raise RuntimeError("out of luck")

    failed: list[int] = []
    engine = make_engine(EchoModel(before_step=fail_with_beams))
    (greedy,) = engine.submit([LONG])
    assert gate.reached.wait(10)
    (beam,) = engine.submit([SearchInput(LONG.source, DecodingOptions(3))])
    gate.opened.set()
    with pytest.raises(EngineFailed, match="decoding failed"):
        beam.future.result(10)
    assert greedy.future.result(10).hypotheses[0].ids == (20,) * 9
    engine.close()


def test_a_model_whose_states_cannot_be_joined_takes_turns():
    """Newcomers wait until what runs is finished."""
    gate = Gate()
    model = EchoModel(before_step=lambda step: gate(step) if step == 1 else None)
    model.joinable = False
    engine = make_engine(model)
    (long,) = engine.submit([LONG])
    assert gate.reached.wait(10)
    (short,) = engine.submit([SENTENCE])
    gate.opened.set()
    assert short.future.result(10).hypotheses[0].ids == (20, 21, 22)
    assert long.future.done()
    assert set(model.rows_seen) == {1}
    engine.close()


def test_a_listener_hears_what_is_said_so_far():
    """Step by step, without the last."""
    heard = []
    engine = make_engine()
    (ticket,) = engine.submit([replace(SENTENCE, progress=heard.append)])
    assert ticket.future.result(10).hypotheses[0].ids == (20, 21, 22)
    assert heard == [[20], [20, 21], [20, 21, 22]]
    engine.close()


def test_a_listener_that_fails_ends_nothing():
    """The sentence comes all the same, and the worker goes on."""

    def fail(_):
        raise RuntimeError("not listening")

    engine = make_engine()
    for _ in range(2):
        (ticket,) = engine.submit([replace(SENTENCE, progress=fail)])
        assert ticket.future.result(10).hypotheses[0].ids == (20, 21, 22)
    assert engine.healthy
    engine.close()
