"""What the challenge says about right and wrong translations, made by hand."""

import shutil

import pytest
from typer.testing import CliRunner

from model_export.cli import app
from model_export.quality.challenge.checks import Check, judge, left_over
from model_export.quality.challenge.numerals import mentions
from model_export.quality.challenge.run import (
    ALL_PASSED,
    ALL_SOUND,
    as_scores,
    failures,
    outcomes,
    shares,
)
from model_export.quality.challenge.sentences import (
    ChallengeError,
    Sentence,
    digest,
    load_sentences,
    parse,
)
from service.engine.bundle import MODEL_CARD, Direction, load_bundle

INTO_KOREAN, INTO_ENGLISH = Direction("en", "ko"), Direction("ko", "en")
CHECKS = {check.name.lower(): check for check in Check}


def failed(direction, source, expectations, translation):
    """The checks that a translation has not passed."""
    sentence = parse(f"topic\t{source}\t{expectations}", "here")
    return {
        check for check, passed in judge(sentence, translation, direction).items() if not passed
    }


CASES = {
    INTO_KOREAN: [
        ("I have two dogs.", "number=2", "개가 두 마리 있어요.", "개가 세 마리 있어요.", "numbers"),
        (
            "It costs 450,000 won.",
            "number=450000",
            "45만 원입니다.",
            "4만 5천 원입니다.",
            "numbers",
        ),
        (
            "It leaves at 7:30.",
            "number=7:30|7시 반",
            "7시 반에 떠나요.",
            "7시에 떠나요.",
            "numbers",
        ),
        ("Tom is here.", "name=톰|Tom", "톰이 왔어요.", "토요일이 왔어요.", "names"),
        ("Tom is here.", "name=톰|Tom", "Tom이 왔어요.", "그가 왔어요.", "names"),
        (
            "See https://a.org/b",
            "kept=https://a.org/b",
            "https://a.org/b 참고",
            "htts://a 참고",
            "kept",
        ),
        ("I can't swim.", "not", "수영을 못해요.", "수영을 잘해요.", "negation"),
        ("Don't park here.", "not", "여기 주차하면 안돼요.", "안녕히 주차하세요.", "negation"),
        ("Why are you crying?", "question", "왜 울어?", "너는 울고 있어.", "question"),
        ("where are you going", "question", "어디 가", "집에 가.", "question"),
        ("It is raining.", "", "비가 와요.", "비가 오나요?", "question"),
        ("Could you help me?", "polite", "도와주세요.", "도와줘.", "politeness"),
        (
            "Thanks. Wait, please.",
            "polite",
            "네. 기다려 주세요.",
            "기다려라. 고맙습니다.",
            "politeness",
        ),
        ("My dog sleeps.", "means=개|강아지", "강아지가 자요.", "고양이가 자요.", "meaning"),
        ("I see a big red house.", "", "큰 빨간 집이 보여요.", "큰 house가 보여요.", "translated"),
        (
            "I see a big red house.",
            "",
            "큰 빨간 집이 보여요.",
            "I see a big red house.",
            "translated",
        ),
        ("I see a house.", "", "집이 보여요.", "", "not_empty"),
        (
            "I really like it.",
            "",
            "정말 좋아요.",
            "정말 정말 정말 정말 정말 좋아요.",
            "no_repetition",
        ),
    ],
    INTO_ENGLISH: [
        ("개가 두 마리 있어요.", "number=2", "I have two dogs.", "I have twenty dogs.", "numbers"),
        ("12층이에요.", "number=12", "It is on the 12th floor.", "It is on floor 120.", "numbers"),
        ("만 이천 원입니다.", "number=12000", "It is 12,000 won.", "It is 2,000 won.", "numbers"),
        ("민수가 왔어요.", "name=Minsu", "Min-su is here.", "Someone is here.", "names"),
        ("커피를 안 마셔요.", "not", "I don’t drink coffee.", "I drink coffee.", "negation"),
        (
            "더워서 잘 수가 없다.",
            "not",
            "It is too hot to sleep.",
            "It is hot at night.",
            "negation",
        ),
        ("왜 울어?", "question", "Why are you crying?", "You are crying.", "question"),
        ("물 좀 주세요.", "polite", "Could I have some water?", "Give me water.", "politeness"),
        ("강아지가 자요.", "means=dog|puppy", "The dogs sleep.", "The hotdog sleeps.", "meaning"),
        ("친구가 왔어요.", "", "My friend is here.", "My 친구 is here.", "translated"),
        (
            "너무 보고 싶어.",
            "",
            "I miss you so much.",
            "I want to to to to to see.",
            "no_repetition",
        ),
    ],
}
"""Source, expectations, a right and a wrong translation, and the check that tells them apart."""


@pytest.mark.parametrize(
    ("direction", "source", "expectations", "right", "wrong", "check"),
    [(direction, *case) for direction, cases in CASES.items() for case in cases],
)
def test_a_check_tells_right_from_wrong(direction, source, expectations, right, wrong, check):
    """The right translation passes everything, the wrong one fails this check."""
    assert failed(direction, source, expectations, right) == set()
    assert CHECKS[check] in failed(direction, source, expectations, wrong)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "한 개"),
        (3, "셋"),
        (3, "삼 층"),
        (5, "오월"),
        (6, "유월"),
        (15, "십오 분"),
        (20, "스무 살"),
        (25, "스물 다섯 명"),
        (80, "여든"),
        (365, "삼백육십오 일"),
        (1500, "천오백 명"),
        (3000, "3천 원"),
        (12000, "1만 2천 원"),
        (12000, "만 이천 원"),
        (450_000, "사십오만 원"),
        (2_000_000, "이백만"),
        (2_000_000, "2백만"),
        (2_000_000, "2,000,000"),
    ],
)
def test_korean_numbers_are_found_however_they_are_written(number, text):
    """Digits, native and Sino-Korean words, and both mixed."""
    assert mentions(number, text, "ko")


@pytest.mark.parametrize(
    ("number", "text"),
    [(2, "이것은 두부다"), (3, "하세요"), (5, "오늘"), (15, "이십오 분"), (3, "13"), (10, "10.5")],
)
def test_syllables_that_are_no_numbers_are_not_found(number, text):
    """Particles, parts of words and parts of longer numbers."""
    assert not mentions(number, text, "ko")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "an apple"),
        (2, "Twice"),
        (4, "four"),
        (24, "the twenty-fourth"),
        (12, "12th"),
        (15, "fifteen"),
        (80, "eighty"),
        (12000, "12 thousand"),
        (2_000_000, "two million"),
        (1500, "1,500"),
    ],
)
def test_english_numbers_are_found_however_they_are_written(number, text):
    """Digits, cardinals, ordinals and large units."""
    assert mentions(number, text, "en")


def test_a_word_may_be_left_where_the_list_says_so():
    """Names, signs and exceptions; everything else in the source's script is left over."""
    sentence = Sentence("", "", names=(("Tom",),), kept=(("Ctrl+C",),), untranslated=(("USB",),))
    assert left_over(sentence, "Tom은 Ctrl+C와 USB와 cable을", "en") == ["cable"]


def test_the_lists_are_whole():
    """200 different sentences each way; topics are the same in both, ten sentences each."""
    for direction in (INTO_KOREAN, INTO_ENGLISH):
        sentences = load_sentences(direction)
        assert len({sentence.source for sentence in sentences}) == 200
        topics = [sentence.topic for sentence in sentences]
        assert {topics.count(topic) for topic in topics} == {10}


def test_what_cannot_be_read_is_refused():
    """An unknown expectation, a missing column, a direction without a list."""
    with pytest.raises(ChallengeError, match="here: unknown expectation 'nicely'"):
        parse("topic\tsource\tnicely", "here")
    with pytest.raises(ChallengeError, match="here: 2 fields"):
        parse("topic\tsource", "here")
    with pytest.raises(ChallengeError, match="no challenge list for en-de"):
        load_sentences(Direction("en", "de"))


def test_shares_count_only_what_a_check_applies_to():
    """A sentence without numbers is no success with numbers."""
    sentences = [Sentence("a", "Two.", numbers=(("2",),)), Sentence("b", "No dogs.")]
    found = outcomes(sentences, ["셋.", "개가 없어요."], INTO_KOREAN)
    counted = shares(found)
    assert (counted[Check.NUMBERS].passed, counted[Check.NUMBERS].of) == (0, 1)
    assert Check.NAMES not in counted
    assert counted[ALL_SOUND].percent == 100.0
    assert counted[ALL_PASSED].percent == 50.0
    assert list(failures(found)) == ["[a] numbers\n  Two.\n  셋."]
    scores = list(as_scores({INTO_KOREAN: found}, beam_size=1))
    assert {score.decoding for score in scores} == {"greedy"}
    assert scores[0].signature == f"unit:percent|lists:{digest([INTO_KOREAN])}"


def test_the_command_prints_a_table_and_records_it(trained, tmp_path):
    """A column for each direction; the shares get a table of their own in the model card."""
    path = tmp_path / "bundle"
    shutil.copytree(trained.bundle.path, path)
    arguments = ["challenge", str(path), "--beam-size", "1", "--show", "--record"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "| check | en-ko | ko-en |" in result.output
    assert "[weather] " in result.output
    card = (path / MODEL_CARD).read_text("utf-8")
    assert "## Challenge sentences\n" in card
    assert "| check | en-ko, greedy | ko-en, greedy |" in card
    assert {score.data for score in load_bundle(path).manifest.scores} == {"challenge"}
