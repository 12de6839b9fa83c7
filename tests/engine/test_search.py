"""The laws of search."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.beam_search import BeamSearch
from service.engine.greedy_search import GreedySearch
from service.engine.request import DecodingOptions, FinishReason
from service.engine.search import SearchInput, hypothesis, length_penalty
from service.engine.strategies import open_search, search
from tests.decoding import decode, inputs_of, run_schedule
from tests.fakes import BOS, EOS, EchoModel, TableModel

SOURCES = [(4, 9, 3), (5, 3), (4, 8, 8, 8, 3), (5, 10, 3)]


def run(model, sources, options, kind=open_search):
    """Hypotheses of each source, in order."""
    return decode(model, inputs_of(sources, options), (BOS, EOS), kind)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_greedy_takes_the_likeliest_piece_at_each_step(seed):
    """The model, asked by hand without batches or state, says the same."""
    model, longest = TableModel(7, seed), 6
    found = run(model, SOURCES, DecodingOptions(max_target_length=longest))
    for source, (best,) in zip(SOURCES, found, strict=True):
        said, score = [], 0.0
        while len(said) < longest and EOS not in said:
            log_probs = model.distribution(source, tuple(said))
            said.append(int(log_probs.argmax()))
            score += log_probs.max()
        ended = said[-1] == EOS
        assert best.ids == tuple(said[:-1] if ended else said)
        assert best.score == pytest.approx(score, abs=1e-5)
        assert best.finish_reason is (FinishReason.EOS if ended else FinishReason.LENGTH)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_beam_one_equals_greedy(seed):
    """A beam of one hypothesis is greedy search."""
    model, options = TableModel(7, seed), DecodingOptions(max_target_length=6)
    greedy = run(model, SOURCES, options, GreedySearch)
    beam = run(model, SOURCES, options, BeamSearch)
    for (a,), (b,) in zip(greedy, beam, strict=True):
        assert a.ids == b.ids
        assert a.finish_reason == b.finish_reason
        assert a.score == pytest.approx(b.score, abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.6, 1.0]))
def test_wide_beam_equals_brute_force(seed, alpha):
    """A beam wider than the number of hypotheses finds exactly the best of all of them."""
    size, length = 5, 3
    model, source = TableModel(size, seed), (4, 9, 3)
    scored = []
    pieces = [piece for piece in range(size) if piece != EOS]
    for n in range(length + 1):
        for said in itertools.product(pieces, repeat=n):
            score = sum(model.distribution(source, said[:i])[said[i]] for i in range(n))
            if n < length:
                score += model.distribution(source, said)[EOS]
            total = n + (n < length)
            scored.append((score / length_penalty(total, alpha), said))
    scored.sort(reverse=True)
    options = DecodingOptions(200, 200, alpha, length)
    (found,) = run(model, [source], options)
    assert [h.ids for h in found] == [said for _, said in scored]
    assert [h.normalised_score for h in found] == pytest.approx(
        [score for score, _ in scored], abs=1e-4
    )


class GenerousModel(TableModel):
    """Gives every piece as a candidate, however few were asked for."""

    def step(self, ids, state, k):  # noqa: ARG002 - what was asked for does not count here
        """All V candidates."""
        return super().step(ids, state, self.vocabulary_size)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_more_candidates_would_change_nothing(seed, beam_size):
    """What beam search asks of the model is enough: all the vocabulary gives the same beams."""
    options = DecodingOptions(beam_size, beam_size, 1.0, 6)
    expected = run(GenerousModel(12, seed), SOURCES, options)
    assert run(TableModel(12, seed), SOURCES, options) == expected


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5), st.sampled_from([0.0, 1.0]))
def test_hypotheses_come_best_first(seed, beam_size, alpha):
    """By normalised score; asking for fewer gives the first of them."""
    model = TableModel(7, seed)
    everything = run(model, SOURCES, DecodingOptions(beam_size, beam_size, alpha, 8))
    fewer = run(model, SOURCES, DecodingOptions(beam_size, 2, alpha, 8))
    for hypotheses, first in zip(everything, fewer, strict=True):
        scores = [h.normalised_score for h in hypotheses]
        assert scores == sorted(scores, reverse=True)
        assert len({h.ids for h in hypotheses}) == len(hypotheses)
        assert first == hypotheses[:2]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 2, 4]))
def test_a_batch_equals_its_sentences_alone(seed, beam_size):
    """Neighbours in the batch change nothing."""
    model, options = TableModel(9, seed), DecodingOptions(beam_size, beam_size, 1.0, 8)
    together = run(model, SOURCES, options)
    assert together == [run(model, [source], options)[0] for source in SOURCES]


def test_sentences_of_one_batch_keep_their_own_options():
    """Length limit, n_best and length penalty of one sentence do not touch the next."""
    model = TableModel(9, 1)
    options = [DecodingOptions(3, *each) for each in ((1, 0.0, 2), (3, 1.0, 9), (2, 0.0, 5))]
    inputs = [SearchInput(*each) for each in zip(SOURCES, options, strict=False)]
    together = dict(search(model, inputs, BOS, EOS))
    for i, each in enumerate(inputs):
        assert dict(search(model, [each], BOS, EOS)) == {0: together[i]}
        assert len(together[i]) == each.options.n_best


@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_result_comes_as_soon_as_its_sentence_is_finished(beam_size):
    """Short sentences do not wait for long ones."""
    model = EchoModel(vocabulary_size=16)
    inputs = [SearchInput(s, DecodingOptions(beam_size)) for s in ((4, 9, 9, 9, 9, 3), (4, 3))]
    results = search(model, inputs, BOS, EOS)
    assert next(results)[0] == 1
    assert len(model.rows_seen) <= 2
    assert [index for index, _ in results] == [0]


def test_finished_rows_leave_the_batch():
    """Short sentences do not pay for long ones."""
    model = EchoModel(vocabulary_size=16)
    run(model, SOURCES, DecodingOptions(max_target_length=10))
    assert model.rows_seen == [4, 3, 1, 1]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000),
    st.sampled_from([1, 2, 4]),
    st.lists(st.integers(0, 3), max_size=12),
    st.lists(st.sampled_from(SOURCES), min_size=1, max_size=8),
)
def test_who_joins_later_finds_the_same(seed, beam_size, joins, sources):
    """Whatever the schedule: each sentence has the hypotheses that it would have alone."""
    model, options = TableModel(9, seed), DecodingOptions(beam_size, beam_size, 1.0, 8)
    found = run_schedule(model, inputs_of(sources, options), (BOS, EOS), joins)
    assert found == [run(model, [source], options)[0] for source in sources]


@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_sentence_dropped_halfway_disturbs_nobody(beam_size):
    """Its rows are gone at the next step, and it has no result."""
    model = EchoModel(vocabulary_size=16)
    running = open_search(model, beam_size, BOS, EOS)
    options = DecodingOptions(beam_size)
    sources = ((4, 9, 9, 9, 3), (4, 8, 8, 8, 3), (4, 10, 10, 10, 3))
    running.join(list(enumerate(inputs_of(sources, options))))
    running.step()
    running.drop(lambda index: index == 0)
    found = {}
    while running.keys:
        found.update(running.step())
    assert {index: best[0].ids for index, best in found.items()} == {1: (8,) * 3, 2: (10,) * 3}
    assert model.rows_seen[:2] == [3 * beam_size, 2 * beam_size]


@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_search_whose_sentences_are_all_dropped_can_begin_again(beam_size):
    """Nothing is left of them."""
    model = EchoModel(vocabulary_size=16)
    running = open_search(model, beam_size, BOS, EOS)
    inputs = inputs_of([(4, 9, 9, 3)], DecodingOptions(beam_size))
    running.join(list(enumerate(inputs)))
    running.step()
    running.drop(lambda _: True)
    assert not running.keys
    running.join([("again", inputs[0])])
    found = []
    while running.keys:
        found += running.step()
    [(key, hypotheses)] = found
    assert (key, hypotheses[0].ids) == ("again", (9, 9))


def test_length_limit_is_told():
    """A hypothesis that was cut off says so."""
    for beam_size in (1, 3):
        options = DecodingOptions(beam_size, max_target_length=2)
        (found,) = run(EchoModel(vocabulary_size=16), [(4, 9, 9, 9, 3)], options)
        assert len(found[0].ids) == 2
        assert found[0].finish_reason is FinishReason.LENGTH


def test_mixed_beam_sizes_are_refused():
    """One batch has one beam size."""
    inputs = [SearchInput((4, 3), DecodingOptions(size)) for size in (1, 2)]
    with pytest.raises(ValueError, match="one beam_size"):
        list(search(EchoModel(16), inputs, BOS, EOS))


@pytest.mark.parametrize(
    "options", [(0,), (2, 3), (1, 1, -0.5), (1, 1, 1.0, 0)], ids=["beam", "n", "alpha", "length"]
)
def test_contradicting_options_are_refused(options):
    """Options are checked as a whole."""
    with pytest.raises(ValueError, match="is"):
        DecodingOptions(*options)


def test_the_length_penalty_is_that_of_wu_et_al():
    """((5 + length) / 6) ** alpha: 1 for length 1, and 1 for alpha 0."""
    assert length_penalty(1, 0.7) == length_penalty(20, 0.0) == 1.0
    assert length_penalty(7, 1.0) == pytest.approx(2.0)
    assert length_penalty(19, 0.5) == pytest.approx(2.0)


def test_eos_counts_in_the_length_if_it_was_said():
    """A hypothesis that was cut off is one piece shorter."""
    ended = hypothesis([7, 8], [-1.0, -2.0, -3.0], FinishReason.EOS, 1.0)
    cut = hypothesis([7, 8], [-2.0, -4.0], FinishReason.LENGTH, 1.0)
    assert ended.normalised_score == pytest.approx(-6.0 / (8 / 6))
    assert cut.normalised_score == pytest.approx(-6.0 / (7 / 6))


def told(inputs, joins=()):
    """What each listener of a running search hears, step by step."""
    heard = [[] for _ in inputs]
    pairs = zip(inputs, heard, strict=True)
    listening = [replace(each, progress=sink.append) for each, sink in pairs]
    running = open_search(EchoModel(vocabulary_size=16), inputs[0].options.beam_size, BOS, EOS)
    waiting, schedule = list(enumerate(listening)), iter(joins)
    while waiting or running.keys:
        count = next(schedule, len(waiting))
        if count and waiting:
            running.join(waiting[:count])
            del waiting[:count]
        if running.keys:
            running.step()
        for listener, said in running.partial():
            listener(said)
    return heard


def test_greedy_search_tells_listeners_how_far_it_is():
    """Each hears of its own sentence, whoever joins and leaves; of the end it hears elsewhere."""
    sources = [(4, 9, 10, 3), (4, 8, 3), (4, 11, 12, 13, 3)]
    heard = told(inputs_of(sources, DecodingOptions()), [1, 1, 1])
    assert heard == [[[9], [9, 10]], [[8]], [[11], [11, 12], [11, 12, 13]]]


def test_beam_search_tells_nothing():
    """Its hypotheses may still change from the first word on."""
    assert told(inputs_of([(4, 9, 10, 3)], DecodingOptions(2))) == [[]]
