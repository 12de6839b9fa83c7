"""Batches: within budget, complete, reproducible, and from any position on."""

from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model_export.data.batches import EncodedExample, dev_batches, make_batch, plan_batches
from model_export.data.corpus import Mixture
from model_export.data.dataset import Position, TrainingStream, both_ways, encode_examples
from model_export.data.prefetch import batches_ahead
from model_export.recipe import AugmentationRecipe, CorpusFile, TrainingRecipe
from tests.fakes import FakeVocabulary

PAD = 0
lengths = st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=1, max_size=80)


@given(lengths, st.integers(1, 200), st.integers(0, 99))
def test_batches_hold_every_example_once_within_budget(drawn, tokens, seed):
    """Rows times the longest side stay under the budget; an example that is above it is alone."""
    source, target = zip(*drawn, strict=True)
    groups = plan_batches(source, target, tokens, np.random.default_rng(seed))
    assert sorted(np.concatenate(groups)) == list(range(len(drawn)))
    for group in groups:
        longest = max(max(drawn[i]) for i in group)
        assert len(group) == 1 or len(group) * longest <= tokens


def test_batches_pad_little():
    """Examples of similar length stand together."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(2, 60, 1000)
    groups = plan_batches(sizes, sizes, 500, np.random.default_rng(1))
    padded = sum(len(group) * max(sizes[group]) for group in groups)
    assert sizes.sum() / padded > 0.9


def test_batches_follow_no_order_of_length():
    """A model that sees short sentences first and long ones last forgets the short ones."""
    sizes = np.arange(2, 102)
    groups = plan_batches(sizes, sizes, 300, np.random.default_rng(0))
    first = [int(sizes[group].max()) for group in groups]
    assert first != sorted(first)
    assert first != sorted(first, reverse=True)


def test_the_same_seed_gives_the_same_batches():
    """And another seed others."""
    sizes = np.random.default_rng(0).integers(2, 20, 200)
    plans = [plan_batches(sizes, sizes, 100, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    first, again, other = ([group.tolist() for group in plan] for plan in plans)
    assert first == again
    assert first != other


def test_the_decoder_reads_bos_and_has_to_say_eos():
    """Target in and out are one target, shifted by one, padded on the right."""
    examples = [EncodedExample([4, 9, 3], [2, 9, 8, 3]), EncodedExample([4, 3], [2, 3])]
    batch = make_batch(examples, PAD)
    assert batch.source.tolist() == [[4, 9, 3], [4, 3, PAD]]
    assert batch.target_in.tolist() == [[2, 9, 8], [2, PAD, PAD]]
    assert batch.target_out.tolist() == [[9, 8, 3], [3, PAD, PAD]]


def test_a_batch_knows_its_tokens():
    """Those that are no padding, where they are, and how many a budget counts."""
    examples = [EncodedExample([4, 9, 9, 3], [2, 9, 8, 3]), EncodedExample([4, 3], [2, 3])]
    batch = make_batch(examples, PAD)
    assert batch.real.tolist() == [0, 1, 2, 3]
    assert (batch.tokens, batch.padded) == (4, 8)


def test_dev_batches_are_always_the_same():
    """All dev examples once, in an order that never changes."""
    examples = [EncodedExample([4] * n, [2] * n) for n in range(2, 20)]
    first, again = ([b.source for b in dev_batches(examples, 40, PAD)] for _ in range(2))
    assert sum(map(len, first)) == len(examples)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.fixture
def stream(tmp_path):
    """A stream over a little corpus, with a new part drawn in each epoch."""
    lines = (f"{'ab ' * n}{n}\t{'cd ' * n}{n}\n" for n in range(1, 31))
    (tmp_path / "pairs.tsv").write_text("".join(lines), "utf-8")
    mixture = Mixture([tmp_path], [CorpusFile("pairs.tsv", weight=1.5)], ("en", "ko"))
    recipe = TrainingRecipe(updates=1, tokens_per_batch=200, max_length=60)
    augmentation = AugmentationRecipe(no_final_mark=0.1, run_together=0.1, concatenate=0.2)
    return TrainingStream(mixture, FakeVocabulary(), recipe, augmentation)


def test_the_stream_goes_on_from_any_position(stream):
    """Starting at the position after batch n yields batch n + 1, across epochs too."""
    count = 3 * len(stream.epoch(1))
    whole = list(islice(stream.batches(Position()), count))
    for n in range(0, count - 1, 5):
        batch, after = next(stream.batches(whole[n][1]))
        assert torch.equal(batch.source, whole[n + 1][0].source)
        assert torch.equal(batch.target_out, whole[n + 1][0].target_out)
        assert after == whole[n + 1][1]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_batches_made_in_another_process_are_the_same(stream):
    """In the same order, with the same positions, from any start; dropout's chance is untouched."""
    start = Position(1, 2)
    chance = torch.get_rng_state()
    apart = list(islice(batches_ahead(stream, start, pinned=False), 20))
    assert torch.equal(torch.get_rng_state(), chance)
    for (batch, after), (expected, expected_after) in zip(
        apart, stream.batches(start), strict=False
    ):
        assert torch.equal(batch.source, expected.source)
        assert torch.equal(batch.real, expected.real)
        assert after == expected_after


def test_synthetic_sources_have_a_tag(stream):
    """It stands after the language; the target and the sources of other files have none."""
    place = (0, 0, False)
    plain = stream.encode(stream.example(place), place)
    stream.mixture.files = [CorpusFile("pairs.tsv", synthetic=True)]
    tagged = stream.encode(stream.example(place), place)
    language, *text = plain.source
    assert tagged.source == [language, stream.vocabulary.unk_id, *text]
    assert tagged.target == plain.target
    joined = [e for e in stream.draw(1) if e.source[1] != stream.vocabulary.unk_id]
    assert not joined


def test_epochs_differ_and_repeat_exactly(stream):
    """Each epoch is drawn anew, but the same each time it is asked for."""
    assert stream.epoch(1) == stream.epoch(1)
    assert stream.epoch(1) != stream.epoch(2)


def test_long_pairs_are_left_out(stream):
    """Neither side of any example is longer than the recipe allows."""
    examples = [example for batch in stream.epoch(1) for example in batch]
    assert max(max(len(e.source), len(e.target)) for e in examples) <= 60
    assert len(examples) < 2 * 1.5 * 30


def test_both_directions_are_made_of_one_pair():
    """The second direction is the first one reversed, and each source names its target."""
    forward, backward = both_ways(("good", "joh"), ("en", "ko"))
    vocabulary = FakeVocabulary()
    first, second = encode_examples([forward, backward], vocabulary)
    assert first.source == vocabulary.encode_source("good", "ko")
    assert first.target == vocabulary.encode_target("joh")
    assert second.source == vocabulary.encode_source("joh", "en")
    assert second.target == vocabulary.encode_target("good")
