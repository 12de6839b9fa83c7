"""The shipped Transformer with options, and the inputs that people complain of elsewhere."""

import re
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from service.engine.bundle import load_bundle
from service.engine.engine import Engine
from service.engine.model_loader import open_model
from service.engine.request import DecodingOptions, Sampling
from service.engine.scheduler import SchedulerLimits
from service.engine.search import SearchInput
from service.metrics import Metrics
from service.translation.decoding import DecodingChoice
from service.translation.request import TranslationRequest
from service.translation.translator import Translator
from tests.decoding import decode, run_schedule
from tests.shipped.test_bundle import SENTENCES

BUNDLE = Path(__file__).parents[2] / "models/en-ko-transformer"
IDS = 2, 3


@pytest.fixture(scope="module")
def engine():
    """The shipped Transformer without a cache."""
    engine = Engine.load(BUNDLE, SchedulerLimits(), Metrics(), 1)
    yield engine
    engine.close()


async def translate(engine, text, source="en", target="ko", **decoding):
    """The translation of one text."""
    choice = DecodingChoice(**decoding)
    request = TranslationRequest((text,), source, target, decoding=choice, token_scores=True)
    return (await Translator([engine]).translate(request)).translations[0]


@pytest.mark.parametrize("strategy", ["greedy", "beam"])
@pytest.mark.parametrize("word", ["cat", "apple", "Love", "water", "yes", "school", "book"])
async def test_a_single_word_is_translated_and_not_repeated(engine, word, strategy):
    """A word or two, in Hangul."""
    found = (await translate(engine, word, strategy=strategy)).hypotheses[0].text
    assert re.search("[가-힣]", found), found
    assert len(found.split()) <= 3
    assert not re.search(r"(\w+) \1\b", found)


@pytest.mark.parametrize("strategy", ["greedy", "beam"])
@pytest.mark.parametrize(
    "text", ["hello hello hello hello", "no no no no no no no no no no", "ha ha ha ha ha ha ha"]
)
async def test_repeated_words_end_without_a_circle_or_are_warned_of(engine, text, strategy):
    """No sentence runs to the limit in silence, nor says more than twice what it was given."""
    found = await translate(engine, text, strategy=strategy)
    assert found.hypotheses[0].tokens < 60
    if not found.warnings:
        most = Counter(found.hypotheses[0].text.split()).most_common(1)[0][1]
        assert most <= len(text.split()) + 1


@pytest.mark.parametrize(
    "prefix", ["나", "나는 ", "나는 학", "저는  매일", "그녀", "쀍", "I", "학생 여러분, "]
)
@pytest.mark.parametrize("beam_size", [1, 4])
async def test_a_translation_begins_with_its_prefix_to_the_letter(engine, prefix, beam_size):
    """Half a word, two spaces, a rare syllable, another script; and there is more than that."""
    text = "I am a student and I study every day. It is hard."
    found = await translate(engine, text, target_prefix=prefix, beam_size=beam_size)
    for hypothesis in found.hypotheses:
        assert hypothesis.text.startswith(prefix)
        assert len(hypothesis.text) > len(prefix) + 5


async def test_a_prefix_that_the_model_would_have_said_changes_nothing(engine):
    """Whoever types what is suggested gets the suggestion, wherever the words are cut; a beam may
    find a better end."""
    text = "I am a student and I study every day."
    whole = (await translate(engine, text, beam_size=1)).hypotheses[0].text
    found = [
        (await translate(engine, text, target_prefix=whole[:length], beam_size=1))
        .hypotheses[0]
        .text
        for length in range(1, len(whole))
    ]
    assert sum(each == whole for each in found) >= 0.7 * len(found)


async def test_a_calibrated_model_tells_how_sure_it_is(engine):
    """More so of an everyday word than of noise; scores of pieces add up."""
    sure, doubtful = [await translate(engine, text) for text in ("apple", "zxqv wkjr pqqz.")]
    assert 0 <= doubtful.confidence < sure.confidence <= 1
    (sentence,) = sure.scores
    assert sum(sentence.piece_scores) == pytest.approx(sure.hypotheses[0].score)
    assert sentence.confidence == pytest.approx(sure.confidence)
    assert len(sentence.pieces) == len(sentence.piece_scores)


def test_neighbours_with_other_options_change_no_bit(engine):
    """Plain, penalised, sampled and prefixed sentences join and leave at random."""
    vocabulary = engine.vocabulary
    model = open_model(load_bundle(BUNDLE))
    kinds = [
        DecodingOptions(max_target_length=30),
        DecodingOptions(max_target_length=30, no_repeat_ngram=2, repetition_penalty=1.3),
        DecodingOptions(max_target_length=30, sampling=Sampling(1.2, 20, 5)),
        DecodingOptions(max_target_length=30, target_prefix=vocabulary.target_prefix("오늘")),
    ]
    sources = [vocabulary.encode_source(text, "ko") for text in SENTENCES]
    inputs = [SearchInput(s, kinds[i % 4]) for i, s in enumerate([*sources, *sources[1:]])]
    alone = [decode(model, [each], IDS)[0] for each in inputs]
    for seed in range(3):
        random = Random(seed)
        order = random.sample(range(len(inputs)), len(inputs))
        joins = [random.choice([0, 0, 1, 2, 3]) for _ in range(30)]
        found = run_schedule(model, [inputs[i] for i in order], IDS, joins)
        assert found == [alone[i] for i in order]
