"""From texts to translations and back, over a model that repeats what it reads."""

import asyncio

import pytest

from service.engine.bundle import Direction
from service.engine.request import Decoded, FinishReason, Hypothesis
from service.errors import (
    EngineFailed,
    LimitExceeded,
    Overloaded,
    UnknownModel,
    UnsupportedDirection,
)
from service.metrics import Metrics
from service.text.language import Detection
from service.text.protection import Shielded
from service.text.rewriting import Rewriting
from service.text.segmentation import Segmentation
from service.translation.assembly import join_sentences, spell
from service.translation.decoding import DecodingChoice, resolve_decoding
from service.translation.preparation import PreparedText, Sentence
from service.translation.request import TranslationRequest
from service.translation.translator import Translator
from tests.fakes import EchoModel, FakeVocabulary, Gate, make_engine, make_manifest
from tests.polling import wait_until

EN_KO = Direction("en", "ko")


@pytest.fixture
def engines():
    """Makes engines and closes them in the end."""
    made = []

    def make(*arguments, **options):
        made.append(make_engine(*arguments, **options))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


@pytest.fixture
def model():
    """A model that repeats its source."""
    return EchoModel()


@pytest.fixture
def translator(engines, model):
    """One engine, both directions."""
    return Translator([engines(model)])


def request(*texts, model=None, direction=EN_KO, **decoding):
    """Texts from English into Korean, unless told otherwise."""
    return TranslationRequest(
        texts, direction.source, direction.target, model, DecodingChoice(**decoding)
    )


def best(result):
    """The best text of each translation."""
    return [translation.hypotheses[0].text for translation in result.translations]


@pytest.mark.parametrize(
    "text",
    [
        "Good morning.",
        "Good morning. How are you?",
        "  Good morning.\n\n\tHow are you?  Fine!\r\n",
        "First line\nsecond line\n",
        "",
        " \n ",
        "12 345 -- 6.7 !!",
        "1. One thing.\n2. Another thing.\n",
    ],
)
async def test_a_text_keeps_its_white_space(translator, text):
    """Sentences are translated, everything between them stays."""
    assert best(await translator.translate(request(text))) == [text]


async def test_texts_come_back_in_order(translator):
    """However the scheduler sorts them, answers are in the order of the questions."""
    texts = [f"{'x' * n} is number {n}. And more." for n in (40, 1, 30, 2, 20)]
    assert best(await translator.translate(request(*texts))) == texts


async def test_a_text_without_letters_asks_no_model(translator, model):
    """Numbers and marks have no translation."""
    result = await translator.translate(request("12:30", "***", ""))
    assert best(result) == ["12:30", "***", ""]
    assert model.rows_seen == []
    assert result.summary.source_tokens == result.summary.target_tokens == 0


async def test_sentences_of_one_text_share_a_batch(translator, model):
    """All sentences of a request are queued together."""
    text = "Good day. Good day. Good day."
    result = await translator.translate(request(text, strategy="greedy"))
    assert best(result) == [text]
    assert model.rows_seen[0] == 3


async def test_a_sentence_above_the_limit_is_cut_and_complete(translator, model):
    """Parts are translated one by one, each within the model's limit, and nothing is lost."""
    limit = make_manifest().limits.max_source_length
    text = " ".join(f"word{i}" for i in range(60)) + "."
    lengths = []
    encode = model.encode
    model.encode = lambda sources, k: lengths.extend(map(len, sources)) or encode(sources, k)
    assert best(await translator.translate(request(text))) == [text]
    assert len(lengths) > 1
    assert max(lengths) <= limit


async def test_usage_counts_characters_and_pieces(translator):
    """Source pieces include tag and eos; target pieces are those of the best hypotheses."""
    result = await translator.translate(request("Hi you.", "Yes."))
    assert result.summary.characters == 11
    assert result.summary.source_tokens == 11 + 2 * 2
    assert result.summary.target_tokens == 11


async def test_timings_have_every_stage(translator):
    """One record of seconds travels with the result."""
    timings = (await translator.translate(request("Good morning."))).summary.timings
    stages = {"segment", "tokenise", "queue", "encode", "decode", "detokenise", "total"}
    assert set(timings) == stages
    assert all(seconds >= 0 for seconds in timings.values())


async def test_n_best_joins_hypotheses_rank_by_rank(translator):
    """The i-th hypothesis of a text is made of the i-th of its sentences; scores are sums."""
    texts = "Ab cd.", "Ef gh.", "Ab cd.  Ef gh."
    result = await translator.translate(request(*texts, beam_size=4, n_best=3))
    first, second, both = result.translations
    assert len(both.hypotheses) == 3
    assert both.hypotheses[0].text == "Ab cd.  Ef gh."
    for joined, a, b in zip(both.hypotheses, first.hypotheses, second.hypotheses, strict=True):
        assert joined.text == f"{a.text}  {b.text}"
        assert joined.score == pytest.approx(a.score + b.score)
        assert joined.tokens == a.tokens + b.tokens


async def test_n_best_of_a_text_without_letters_is_the_text(translator):
    """There is only one way to leave a text as it is."""
    result = await translator.translate(request("123", beam_size=4, n_best=3))
    assert [h.text for h in result.translations[0].hypotheses] == ["123"]


async def test_a_length_limit_cuts_each_sentence(translator):
    """max_target_length counts pieces of a sentence."""
    result = await translator.translate(request("abcdef. ghijkl.", max_target_length=3))
    assert best(result) == ["abc ghi"]


class ScriptIdentifier:
    """Korean if there is Hangul, else the first language that is asked about."""

    def identify(self, text, languages):
        """With the same confidence always."""
        korean = any("가" <= character <= "힣" for character in text)
        return [Detection("ko" if korean else languages[0], 0.75)]


async def test_each_text_is_translated_from_its_own_language(engines):
    """Texts of several languages come back in order; what is in the target language stays."""
    one = engines(name="one", directions=(("en", "ko"),))
    two = engines(name="two", directions=(("ko", "en"),))
    translator = Translator([one, two], ScriptIdentifier())
    texts = ("Good day.", "ab cd 가.", "Bye.")
    result = await translator.translate(TranslationRequest(texts, None, "ko"))
    assert best(result) == list(texts)
    assert [t.source for t in result.translations] == ["en", "ko", "en"]
    assert [t.model for t in result.translations] == ["one", None, "one"]
    assert {t.detected.confidence for t in result.translations} == {0.75}
    assert result.summary.model == "one"
    assert result.summary.characters == sum(map(len, texts))


async def test_nothing_to_do_asks_no_model(engines, model):
    """All texts in the target language already: no model, no tokens."""
    translator = Translator([engines(model)], ScriptIdentifier())
    result = await translator.translate(TranslationRequest(("가.", "나."), None, "ko"))
    assert best(result) == ["가.", "나."]
    assert result.summary.model is None
    assert result.summary.target_tokens == 0
    assert model.rows_seen == []


async def test_a_language_that_nothing_is_translated_into_cannot_be_the_target(engines):
    """Then there is nothing that the source could be."""
    translator = Translator([engines()], ScriptIdentifier())
    with pytest.raises(UnsupportedDirection, match="'fr'"):
        await translator.translate(TranslationRequest(("Hi.",), None, "fr"))


async def test_one_failing_part_ends_the_others(engines):
    """A request is answered whole or not at all."""
    gate = Gate()

    def fail(_):
        raise RuntimeError("out of luck")

    one = engines(EchoModel(before_step=fail), "one", (("ko", "fr"),))
    waiting = EchoModel(before_step=gate)
    two = engines(waiting, "two", (("en", "fr"),))
    translator = Translator([two, one], ScriptIdentifier())
    texts = ("A long sentence of many steps.", "가나다.")
    with pytest.raises(EngineFailed):
        await translator.translate(TranslationRequest(texts, None, "fr"))
    gate.opened.set()
    await asyncio.to_thread(two.close)
    assert len(waiting.rows_seen) <= 2


async def test_the_first_engine_that_serves_a_direction_is_its_default(engines):
    """A request that names no model gets the first one that can."""
    one = engines(name="one", directions=(("en", "ko"),))
    two = engines(name="two")
    translator = Translator([one, two])
    assert translator.catalogue.choose(None, EN_KO).running.engine is one
    assert translator.catalogue.choose(None, Direction("ko", "en")).running.engine is two
    assert translator.catalogue.choose("two", EN_KO).running.engine is two
    assert (await translator.translate(request("Hi.", model="two"))).summary.model == "two"


async def test_an_unknown_model_is_told_with_those_there_are(engines):
    """The message lists the models, and the error names the field."""
    translator = Translator([engines(name="one"), engines(name="two")])
    with pytest.raises(UnknownModel, match="'three'; available models: one, two") as refused:
        await translator.translate(request("Hi.", model="three"))
    assert refused.value.field == "model"


async def test_an_unknown_direction_is_told_with_those_there_are(engines):
    """The message lists directions: all of them, or those of the model that was named."""
    one = engines(name="one", directions=(("en", "ko"),))
    translator = Translator([one, engines(name="two", directions=(("ko", "en"),))])
    with pytest.raises(UnsupportedDirection, match="en-fr; available directions: en-ko, ko-en"):
        await translator.translate(request("Hi.", direction=Direction("en", "fr")))
    with pytest.raises(UnsupportedDirection, match=r"ko-en; available directions: en-ko$"):
        translator.catalogue.choose("one", Direction("ko", "en"))
    with pytest.raises(UnsupportedDirection, match="available directions: none"):
        Translator([]).catalogue.choose(None, EN_KO)


async def test_a_target_length_above_the_models_limit_is_refused(translator):
    """The message has both figures, and the error names the field."""
    with pytest.raises(LimitExceeded, match="129 is above this model's 128") as refused:
        await translator.translate(request("Hi.", max_target_length=129))
    assert refused.value.field == "decoding.max_target_length"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({}, (2, 1)),
        ({"strategy": "greedy"}, (1, 1)),
        ({"strategy": "beam"}, (2, 1)),
        ({"strategy": "beam", "beam_size": 7}, (7, 1)),
        ({"n_best": 5}, (5, 5)),
        ({"beam_size": 6, "n_best": 5}, (6, 5)),
    ],
)
def test_what_a_caller_leaves_open_the_model_decides(choice, expected):
    """Beam size and n_best, from the manifest's defaults; the beam is wide enough for n_best."""
    options = resolve_decoding(DecodingChoice(**choice), make_manifest(), FakeVocabulary())
    assert (options.beam_size, options.n_best) == expected


def test_a_length_penalty_of_zero_is_a_choice():
    """Zero is not the same as nothing said."""
    known = make_manifest(), FakeVocabulary()
    assert resolve_decoding(DecodingChoice(), *known).length_penalty == 1.0
    assert resolve_decoding(DecodingChoice(length_penalty=0.0), *known).length_penalty == 0.0


async def test_cancelling_frees_queue_and_rows(engines):
    """Sentences of a caller that has gone are neither decoded to their end nor begun."""
    gate = Gate()
    model = EchoModel(before_step=gate)
    engine = engines(model, batch_rows=1)
    text = "A long sentence that takes many steps. Another one that still waits."
    task = asyncio.create_task(Translator([engine]).translate(request(text, strategy="greedy")))
    assert await asyncio.to_thread(gate.reached.wait, 10)
    assert engine.scheduler.waiting[0] == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.opened.set()
    await asyncio.to_thread(engine.close)
    assert len(model.rows_seen) <= 2


async def test_one_failure_fails_the_text_and_frees_the_rest(engines):
    """A text is translated whole or not at all; its other sentences give their place up."""
    gate, failed = Gate(), []

    def fail_first(step):
        if not failed:
            failed.append(step)
            raise RuntimeError("out of luck")
        gate(step)

    model = EchoModel(before_step=fail_first)
    engine = engines(model, batch_rows=1)
    with pytest.raises(EngineFailed, match="decoding failed"):
        await Translator([engine]).translate(request("One here. Two here.", strategy="greedy"))
    gate.opened.set()
    await asyncio.to_thread(engine.close)
    assert len(model.rows_seen) <= 2


def test_a_sentence_with_few_hypotheses_repeats_its_last(engines):
    """Search may find fewer than n_best; the text still has as many as its richest sentence."""
    engine = engines()

    def decoded(*texts):
        ids = [engine.vocabulary.encode_target(text)[1:-1] for text in texts]
        found = (Hypothesis(tuple(i), -1.0, -1.0, FinishReason.EOS) for i in ids)
        return Decoded(tuple(found), 0.0, 0.0)

    segmentation = Segmentation(("x", "y"), ("<", " ", ">"))
    sentences = [decoded("a", "b", "c"), decoded("p", "q")]
    bare = [Sentence(Shielded(Rewriting(x)), (), ()) for x in segmentation.sentences]
    text = PreparedText(segmentation, tuple(bare))
    spelt = spell(engine.vocabulary, "ko", text, sentences)
    hypotheses = join_sentences(text, sentences, spelt)
    assert [h.text for h in hypotheses] == ["<a p>", "<b q>", "<c q>"]
    assert [h.tokens for h in hypotheses] == [2, 2, 2]


async def test_a_full_queue_is_told_to_the_caller(engines):
    """Overloaded reaches the caller, and what was accepted before is answered."""
    gate = Gate()
    engine = engines(EchoModel(before_step=gate), waiting_tokens=10, batch_rows=1)
    translator = Translator([engine])
    first = asyncio.create_task(translator.translate(request("First.", strategy="greedy")))
    assert await asyncio.to_thread(gate.reached.wait, 10)
    second = asyncio.create_task(translator.translate(request("Second.", strategy="greedy")))
    while not engine.scheduler.waiting[0]:
        await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await translator.translate(request("Third.", strategy="greedy"))
    gate.opened.set()
    assert best(await first) + best(await second) == ["First.", "Second."]


async def test_metrics_tell_what_was_done(engines):
    """Tokens, characters, stages and batches of a request can be read afterwards."""
    metrics = Metrics()
    translator = Translator([engines(metrics=metrics)])
    await translator.translate(request("Good day. Good day.", strategy="greedy"))
    read = metrics.registry.get_sample_value
    fake = {"model": "fake", "version": "1"}
    labels = fake | {"direction": "en-ko"}
    assert read("seq2serve_characters_total", labels) == 19
    assert read("seq2serve_source_tokens_total", labels) == 22
    assert read("seq2serve_target_tokens_total", labels) == 18
    assert read("seq2serve_batch_sentences_sum", fake) == 2
    ended = fake | {"reason": "eos"}
    wait_until(lambda: read("seq2serve_finished_sentences_total", ended) == 2)
    for stage, count in (("segment", 1), ("queue", 2), ("encode", 2), ("decode", 2), ("total", 1)):
        name = "seq2serve_stage_duration_seconds_count"
        assert read(name, fake | {"stage": stage}) == count
