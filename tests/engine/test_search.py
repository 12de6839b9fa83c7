"""The laws of search."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.request import DecodingOptions, FinishReason
from service.engine.search import SearchInput, beam_search, greedy_search, length_penalty, search
from tests.fakes import BOS, EOS, EchoModel, TableModel

SOURCES = [(4, 9, 3), (5, 3), (4, 8, 8, 8, 3), (5, 10, 3)]


def run(model, sources, options, strategy=search):
    """Hypotheses of each source, in order."""
    inputs = [SearchInput(source, options) for source in sources]
    found = dict(strategy(model, inputs, BOS, EOS, lambda _: False))
    return [found[i] for i in range(len(sources))]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_beam_one_equals_greedy(seed):
    """A beam of one hypothesis is greedy search."""
    model, options = TableModel(7, seed), DecodingOptions(max_target_length=6)
    greedy = run(model, SOURCES, options, greedy_search)
    beam = run(model, SOURCES, options, beam_search)
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
    options = DecodingOptions(200, 10, alpha, length)
    (found,) = run(model, [source], options)
    assert [h.ids for h in found] == [said for _, said in scored[:10]]
    assert [h.normalised_score for h in found] == pytest.approx(
        [score for score, _ in scored[:10]], abs=1e-4
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 2, 4]))
def test_a_batch_equals_its_sentences_alone(seed, beam_size):
    """Neighbours in the batch change nothing."""
    model, options = TableModel(9, seed), DecodingOptions(beam_size, beam_size, 1.0, 8)
    together = run(model, SOURCES, options)
    assert together == [run(model, [source], options)[0] for source in SOURCES]


def test_finished_rows_leave_the_batch():
    """Short sentences do not pay for long ones."""
    model = EchoModel(vocabulary_size=16)
    run(model, SOURCES, DecodingOptions(max_target_length=10))
    assert model.rows_seen == [4, 3, 1, 1]


def test_abandoned_sentences_give_their_rows_back():
    """A sentence that nobody waits for is dropped without a result."""
    model = EchoModel(vocabulary_size=16)
    inputs = [SearchInput((4, 9, 9, 9, 3), DecodingOptions(2))] * 3
    found = list(beam_search(model, inputs, BOS, EOS, lambda i: i == 1))
    assert [index for index, _ in found] == [0, 2]
    assert model.rows_seen[:2] == [6, 4]


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
