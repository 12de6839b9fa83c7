"""Options that steer a search: what is forbidden, dearer, forced, or left to chance."""

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.request import DecodingOptions, FinishReason, Sampling, TargetPrefix
from service.engine.search import SearchInput, length_penalty
from service.engine.steering import closing_pieces
from tests.decoding import decode, inputs_of, run_schedule
from tests.fakes import BOS, EOS, EchoModel, TableModel

SIZE, SOURCES = 7, [(4, 9, 3), (5, 3), (4, 8, 8, 8, 3), (5, 10, 3)]
seeds = st.integers(0, 10_000)


def run(model, sources, options):
    """Hypotheses of each source, in order."""
    return decode(model, inputs_of(sources, options), (BOS, EOS))


def weights(model, source, said, options):
    """What the options make of a model's log-probabilities after `said`, by the book."""
    log_probs = model.distribution(source, said).astype(np.float32).astype(float)
    ids = options.target_prefix.ids if options.target_prefix else ()
    if len(said) < len(ids):
        forced = np.full(len(log_probs), -np.inf)
        forced[ids[len(said)]] = 0.0
        return forced, forced
    found = log_probs.copy()
    for piece in range(len(found)):
        if piece in said:
            found[piece] *= options.repetition_penalty
        n = options.no_repeat_ngram
        whole = (*said, piece)
        before = [whole[i : i + n] for i in range(len(whole) - n)]
        if n and len(whole) > n and whole[-n:] in before:
            found[piece] = -np.inf
    return found, log_probs


steered = st.builds(
    DecodingOptions,
    max_target_length=st.just(7),
    repetition_penalty=st.sampled_from([1.0, 1.3, 3.0]),
    no_repeat_ngram=st.integers(0, 3),
    target_prefix=st.none() | st.sampled_from([(), (4,), (4, 4)]).map(TargetPrefix),
)


@settings(max_examples=100, deadline=None)
@given(seeds, steered)
def test_steered_greedy_search_is_that_of_the_book(seed, options):
    """The model, asked by hand for everything it knows, says the same at the same price."""
    model = TableModel(SIZE, seed)
    for source, (best,) in zip(SOURCES, run(model, SOURCES, options), strict=True):
        said, scores = (), []
        while len(said) < options.max_target_length and EOS not in said:
            found, log_probs = weights(model, source, said, options)
            said += (int(found.argmax()),)
            scores.append(log_probs[said[-1]])
        assert best.ids == (said[:-1] if said[-1] == EOS else said)
        assert best.token_scores == pytest.approx(scores, abs=1e-6)
        assert best.score == pytest.approx(sum(scores), abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(seeds, steered, st.sampled_from([0.0, 1.0]))
def test_a_wide_steered_beam_equals_brute_force(seed, options, alpha):
    """A beam wider than the number of hypotheses finds exactly the best of those allowed."""
    size, length, source = 5, 3, (4, 9, 3)
    model = TableModel(size, seed)
    prefix = options.target_prefix.ids if options.target_prefix else ()
    pieces = [piece for piece in range(size) if piece != EOS]
    expected = []
    for n in range(len(prefix), length + 1):
        for said in itertools.product(pieces, repeat=n):
            whole = said if n == length else (*said, EOS)
            steps = [weights(model, source, whole[:i], options) for i in range(len(whole))]
            total = sum(found[p] for (found, _), p in zip(steps, whole, strict=True))
            score = sum(log_probs[p] for (_, log_probs), p in zip(steps, whole, strict=True))
            if np.isfinite(total):
                expected.append((total / length_penalty(len(whole), alpha), said, score))
    expected.sort(reverse=True)
    wide = replace(
        options, beam_size=100, n_best=100, length_penalty=alpha, max_target_length=length
    )
    (found,) = run(model, [source], wide)
    assert [h.ids for h in found] == [said for _, said, _ in expected]
    assert [h.normalised_score for h in found] == pytest.approx([e[0] for e in expected], abs=1e-4)
    assert [h.score for h in found] == pytest.approx([e[2] for e in expected], abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 3), st.sampled_from([1, 3]))
def test_no_n_gram_comes_twice(seed, n, beam_size):
    """In no hypothesis."""
    options = DecodingOptions(beam_size, beam_size, 1.0, 30, no_repeat_ngram=n)
    for hypotheses in run(TableModel(SIZE, seed), SOURCES, options):
        for each in hypotheses:
            grams = [each.ids[i : i + n] for i in range(len(each.ids) - n + 1)]
            assert len(set(grams)) == len(grams)


@given(st.lists(st.integers(0, 3), max_size=12), st.integers(1, 4))
def test_closing_pieces_are_those_that_followed_before(said, n):
    """Exactly those with which the last n pieces would be a sequence said before."""
    grams = {tuple(said[i : i + n]) for i in range(len(said) - n + 1)}
    end = tuple(said[len(said) - n + 1 :])
    expected = {p for p in range(4) if len(end) == n - 1 and (*end, p) in grams}
    assert closing_pieces(said, n) == expected


many = st.lists(
    st.one_of(
        st.just(DecodingOptions(max_target_length=8)),
        steered,
        st.builds(
            DecodingOptions,
            max_target_length=st.just(8),
            sampling=st.builds(Sampling, st.sampled_from([0.5, 2.0]), st.integers(1, 9), seeds),
        ),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(seeds, many, st.lists(st.integers(0, 3), max_size=12), st.sampled_from([1, 3]))
def test_options_of_neighbours_change_nothing(seed, options, joins, beam_size):
    """Whoever joins and leaves, and whatever they want, chance included."""
    model = TableModel(9, seed)
    if beam_size > 1:
        options = [replace(each, beam_size=beam_size, sampling=None) for each in options]
    pairs = zip(itertools.cycle(SOURCES), options, strict=False)
    inputs = [SearchInput(*pair) for pair in pairs]
    found = run_schedule(model, inputs, (BOS, EOS), joins)
    assert found == [decode(model, [each], (BOS, EOS))[0] for each in inputs]


class Asked(TableModel):
    """Remembers how many candidates it was asked for."""

    def __init__(self, size, seed):
        super().__init__(size, seed)
        self.wanted = []

    def step(self, ids, state, k):
        """Notes `k`."""
        self.wanted.append(k)
        return super().step(ids, state, k)


@pytest.mark.parametrize("beam_size", [1, 4])
def test_who_wants_nothing_special_asks_for_no_more_candidates(beam_size):
    """The common case stays what it was, also after a steered neighbour has left."""
    model = Asked(40, 1)
    plain = SearchInput((4, 9, 3), DecodingOptions(beam_size, max_target_length=20))
    steered = replace(plain, options=replace(plain.options, max_target_length=5, no_repeat_ngram=1))
    run_schedule(model, [plain], (BOS, EOS), [1])
    usual = 1 if beam_size == 1 else 2 * beam_size
    assert set(model.wanted) == {usual}
    model.wanted.clear()
    run_schedule(model, [plain, steered], (BOS, EOS), [2])
    assert max(model.wanted) > usual
    assert model.wanted[-1] == usual


def sample(model, source, **settings):
    """One hypothesis by chance."""
    options = DecodingOptions(max_target_length=1, sampling=Sampling(**settings))
    return run(model, [source], options)[0][0]


@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, 40), (0.5, 40), (1.5, 5)])
def test_samples_have_the_distribution_that_was_asked_for(temperature, top_k):
    """4,000 seeds draw the pieces as often as softmax at this temperature says, of the top k."""
    model, source, count = TableModel(12, 3), (4, 9, 3), 4000
    logits = model.distribution(source, ()) / temperature
    allowed = np.argsort(-logits)[:top_k]
    expected = np.zeros(12)
    expected[allowed] = np.exp(logits[allowed]) / np.exp(logits[allowed]).sum()
    options = [
        DecodingOptions(max_target_length=1, sampling=Sampling(temperature, top_k, seed))
        for seed in range(count)
    ]
    found = decode(model, [SearchInput(source, each) for each in options], (BOS, EOS))
    drawn = Counter(best.ids[0] if best.ids else EOS for (best,) in found)
    for piece in range(12):
        assert drawn[piece] / count == pytest.approx(expected[piece], abs=0.03)


def test_a_sample_is_scored_as_the_model_scores_it():
    """Temperature and penalties change the choice, not what the model thinks of it."""
    model, source = TableModel(12, 3), (4, 9, 3)
    for seed in range(20):
        best = sample(model, source, temperature=3.0, top_k=12, seed=seed)
        piece = best.ids[0] if best.ids else EOS
        assert best.score == pytest.approx(model.distribution(source, ())[piece], abs=1e-5)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_a_sample_of_one_candidate_is_greedy(seed):
    """And so is one at a temperature near zero."""
    model = TableModel(SIZE, seed)
    greedy = run(model, SOURCES, DecodingOptions(max_target_length=6))
    for sampling in (Sampling(top_k=1, seed=seed), Sampling(1e-6, 7, seed)):
        assert (
            run(model, SOURCES, DecodingOptions(max_target_length=6, sampling=sampling)) == greedy
        )


def test_other_seeds_give_other_samples():
    """The same seed gives the same one."""
    options = DecodingOptions(max_target_length=8)
    found = {}
    for seed in range(8):
        drawn = replace(options, sampling=Sampling(2.0, 20, seed))
        found[seed] = run(TableModel(40, 1), SOURCES, drawn)
        assert run(TableModel(40, 1), SOURCES, drawn) == found[seed]
    assert len({str(each) for each in found.values()}) == 8


@settings(max_examples=40, deadline=None)
@given(seeds, st.sampled_from([1, 3]), st.lists(st.sampled_from([0, 4, 5, 6]), max_size=4))
def test_every_hypothesis_begins_as_it_must(seed, beam_size, ids):
    """What was forced scores 0; the model decides the rest."""
    prefix = TargetPrefix(tuple(ids))
    options = DecodingOptions(beam_size, beam_size, 1.0, 8, target_prefix=prefix)
    for hypotheses in run(TableModel(SIZE, seed), SOURCES, options):
        assert len({each.ids for each in hypotheses}) == beam_size
        for each in hypotheses:
            assert each.ids[: len(ids)] == tuple(ids)
            assert each.token_scores[: len(ids)] == (0.0,) * len(ids)
            assert all(score < 0 for score in each.token_scores[len(ids) :])


@settings(max_examples=40, deadline=None)
@given(seeds, st.frozensets(st.sampled_from([0, 1, 2, 4, 5, 6]), min_size=1))
def test_the_likeliest_opening_goes_on(seed, openings):
    """After what is forced, one of the openings must come."""
    model = TableModel(SIZE, seed)
    prefix = TargetPrefix((5,), openings, (6, 6))
    options = DecodingOptions(max_target_length=8, target_prefix=prefix)
    for source, (best,) in zip(SOURCES, run(model, SOURCES, options), strict=True):
        log_probs = model.distribution(source, (5,))
        assert best.ids[0] == 5
        assert best.ids[1] == max(openings, key=lambda piece: log_probs[piece])


@pytest.mark.parametrize("beam_size", [1, 2])
def test_where_no_opening_is_likely_the_prefix_speaks_for_itself(beam_size):
    """The echo thinks thousands of pieces as likely as the opening."""
    prefix = TargetPrefix((20,), frozenset([0x2000]), (21, 22))
    options = DecodingOptions(beam_size, max_target_length=9, target_prefix=prefix)
    ((best, *_),) = run(EchoModel(), [(4, 30, 31, 32, 33, 34, 3)], options)
    assert best.ids == (20, 21, 22, 33, 34)
    assert best.finish_reason is FinishReason.EOS


def test_where_nothing_is_said_instead_the_model_goes_on_as_it_likes():
    """An opening that is not likely is only a wish."""
    prefix = TargetPrefix((20,), frozenset([0x2000]))
    options = DecodingOptions(max_target_length=9, target_prefix=prefix)
    ((best,),) = run(EchoModel(), [(4, 30, 31, 32, 3)], options)
    assert best.ids == (20, 31, 32)


@pytest.mark.parametrize(
    "options",
    [
        {"repetition_penalty": 0.9},
        {"no_repeat_ngram": -1},
        {"beam_size": 2, "sampling": Sampling()},
        {"target_prefix": TargetPrefix((4,) * 9), "max_target_length": 9},
    ],
    ids=lambda options: next(iter(options)),
)
def test_contradicting_options_are_refused(options):
    """Options are checked as a whole."""
    with pytest.raises(ValueError, match="is"):
        DecodingOptions(**options)


def test_sampling_is_checked():
    """A temperature above 0, and something to choose from."""
    for wrong in ({"temperature": 0.0}, {"top_k": 0}):
        with pytest.raises(ValueError, match="is"):
            Sampling(**wrong)
