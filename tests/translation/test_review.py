"""Bad sentences have one more try, and only one."""

import asyncio

import numpy as np
import pytest

from service.engine.bundle import Direction
from service.engine.request import DecodingOptions, Sampling
from service.engine.search import SearchInput
from service.engine.waiting import Standing
from service.metrics import Metrics
from service.translation.review import Review
from tests.fakes import EOS, FIRST, FakeVocabulary, ScriptedModel, make_engine

EN_KO = Direction("en", "ko")
CIRCLE, WORD = "가나", "다라마바"


class Circling(ScriptedModel):
    """Says one thing over and over, and with a penalty on that another; nothing at all of sources
    that begin with `s`."""

    def __init__(self):
        super().__init__()
        self.encoded = []

    def encode(self, sources, beam_size=1):
        """Notes who is decoded."""
        self.encoded += [tuple(source) for source in sources]
        return super().encode(sources, beam_size)

    def distribution(self, source, said):
        """Likes the circle, then the word, and eos after ten pieces."""
        row = np.full(0x3000, -30.0)
        circle = [ord(c) - 0xAC00 + FIRST for c in CIRCLE]
        row[circle[len(said) % 2]] = -0.5
        row[EOS] = -0.1 if len(said) >= 10 else -9.0
        row[[ord(c) - 0xAC00 + FIRST for c in WORD]] = -0.6 - 0.01 * np.arange(4)
        if chr(source[1] - FIRST) == "s":
            row[EOS] = -0.01
        return row


class Hangul(FakeVocabulary):
    """Pieces are syllables."""

    def decode(self, ids):
        """From U+AC00 on."""
        return "".join(chr(i - FIRST + 0xAC00) for i in ids if i >= FIRST)


class Bench:
    """An engine, its model and its metrics."""

    def __init__(self):
        self.model, self.metrics = Circling(), Metrics()
        self.engine = make_engine(self.model, metrics=self.metrics)
        self.engine.vocabulary = Hangul()

    def review(self, sentences, **options):
        """Decodes and looks at sentences."""

        async def work():
            encode = self.engine.vocabulary.encode_source
            options_ = DecodingOptions(max_target_length=20, **options)
            inputs = [SearchInput(encode(each, "ko"), options_) for each in sentences]
            decoded = await self.engine.decode(inputs)
            return await Review(self.engine, EN_KO).of(sentences, inputs, decoded)

        return asyncio.run(work())

    def count(self, name, **labels):
        """A counter of the model."""
        labels = {"model": "fake", "version": "1", **labels}
        return self.metrics.registry.get_sample_value(f"seq2serve_{name}_total", labels) or 0


@pytest.fixture
def bench():
    """Closed at the end."""
    bench = Bench()
    yield bench
    bench.engine.close()


def test_a_bad_sentence_is_decoded_again_and_the_better_one_kept(bench):
    """The penalty drives it out of its circle."""
    (found,) = bench.review(["one"])
    assert not found.faults
    assert CIRCLE * 3 not in bench.engine.vocabulary.decode(found.decoded.hypotheses[0].ids)
    assert len(bench.model.encoded) == 2
    assert bench.count("second_tries", result="better") == 1
    assert bench.count("quality_warnings", reason="repetition") == 0


def test_a_sentence_that_stays_bad_is_warned_of_and_not_tried_for_ever(bench):
    """The first answer stays, and is counted by reason."""
    (found,) = bench.review(["silence"])
    assert len(bench.model.encoded) == 2
    assert found.faults == ("empty",)
    assert bench.count("second_tries", result="no_better") == 1
    assert bench.count("quality_warnings", reason="empty") == 1


def test_only_the_bad_ones_of_a_text_are_decoded_again(bench):
    """The others keep their place and their answer."""
    bench.model.distribution = lambda source, said: _fine(source, said, bench.model)
    found = bench.review(["fine", "one", "fine too"])
    assert len(bench.model.encoded) == 4
    assert [bool(each.faults) for each in found] == [False] * 3
    texts = [bench.engine.vocabulary.decode(r.decoded.hypotheses[0].ids) for r in found]
    assert texts[0] == texts[2] == WORD
    assert texts[1] not in (WORD, "")


def _fine(source, said, model):
    if chr(source[1] - FIRST) != "f":
        return Circling.distribution(model, source, said)
    row = np.full(0x3000, -30.0)
    script = [*(ord(c) - 0xAC00 + FIRST for c in WORD), EOS]
    row[script[min(len(said), 4)]] = -0.01
    return row


def test_what_chance_decided_is_not_decided_again(bench):
    """The caller wanted that answer; a warning comes all the same."""
    (found,) = bench.review(["one"], sampling=Sampling(top_k=1))
    assert len(bench.model.encoded) == 1
    assert "repetition" in found.faults


def test_a_sentence_whose_options_were_strict_already_has_no_second_try(bench):
    """It would come out the same."""
    bench.review(["silence"], beam_size=2, no_repeat_ngram=9, repetition_penalty=2.0)
    assert len(bench.model.encoded) == 1


def test_a_second_try_is_never_turned_away(bench):
    """Fails when the second try waits to be let in as its request did: under load the answer would
    be another one."""
    scheduler, calls = bench.engine.scheduler, []

    def submit(inputs, standing=Standing.INTERACTIVE):
        calls.append(standing)
        return plain(inputs, standing)

    plain, bench.engine._submit = scheduler.submit, submit
    (found,) = bench.review(["one"])
    assert calls == [Standing.INTERACTIVE, Standing.ACCEPTED]
    assert found.faults == ()
