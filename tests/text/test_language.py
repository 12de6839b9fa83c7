"""Language identification: Korean by script, the rest by the packaged model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.text.language import FastTextIdentifier, packaged_model

SERVED = ("en", "ko")


@pytest.fixture(scope="module")
def identifier():
    """The model that is installed with the service."""
    return FastTextIdentifier(packaged_model())


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Where is the station?", "en"),
        ("Hello", "en"),
        ("OK", "en"),
        ("역은 어디 있어요?", "ko"),
        ("ㅋㅋㅋ", "ko"),
        ("안녕 👋", "ko"),
        ("서울에서 meeting이 있어요", "ko"),
        ("삼성 갤럭시 S24 Ultra 출시", "ko"),
        ("The word 안녕 means hello.", "en"),
        ('<p class="first paragraph">안녕하세요</p>', "ko"),
        ("see https://ko.example.org/위키/한국어 for more", "en"),
        ("{user_name} 님, 안녕하세요", "ko"),
        ("한국어", "ko"),  # decomposed
    ],
)
def test_the_likeliest_language_comes_first(identifier, text, language):
    """Also for single words, mixed scripts and text between tags and addresses."""
    assert identifier.identify(text, SERVED)[0].language == language


@pytest.mark.parametrize("text", ["Where is the station?", "Good morning.", "역은 어디 있어요?"])
def test_a_plain_sentence_is_sure(identifier, text):
    """Above one half."""
    assert identifier.identify(text, SERVED)[0].confidence > 0.6


@pytest.mark.parametrize("text", ["", " \n", "123 456.7", "😀🎉", "?!…", "\ud800", "<br/>"])
def test_what_has_no_letter_has_no_confidence(identifier, text):
    """The answer is English, with 0."""
    assert [(d.language, d.confidence) for d in identifier.identify(text, SERVED)] == [
        ("en", 0.0),
        ("ko", 0.0),
    ]


@pytest.mark.parametrize("text", ["asdfgh", "Bonjour, comment allez-vous ?", "Привет", "你好世界"])
def test_other_languages_and_noise_have_a_low_confidence(identifier, text):
    """It is not spread over the served languages, of which none fits."""
    assert identifier.identify(text, SERVED)[0].confidence < 0.2


def test_more_languages_are_told_apart_when_they_are_served(identifier):
    """Only those that are asked for are named; a script or region behind a code changes nothing."""
    served = ("de", "en", "fr", "zh-Hans")
    for text, language in [
        ("Guten Tag, wie geht es Ihnen?", "de"),
        ("Bonjour, comment allez-vous ?", "fr"),
        ("你好世界", "zh-Hans"),
    ]:
        found = identifier.identify(text, served)
        assert found[0].language == language
        assert found[0].confidence > 0.8
        assert sorted(d.language for d in found) == sorted(served)


def test_without_english_the_first_language_is_the_default(identifier):
    """Nothing speaks for any of them."""
    assert identifier.identify("42", ("de", "fr"))[0].language == "de"


@given(st.text(st.characters(codec=None)))
def test_any_text_has_an_answer(identifier, text):
    """Each language once, confidences within 0 to 1, the highest first."""
    found = identifier.identify(text, SERVED)
    confidences = [d.confidence for d in found]
    assert {d.language for d in found} == set(SERVED)
    assert confidences == sorted(confidences, reverse=True)
    assert all(0 <= c <= 1 for c in confidences)


@pytest.mark.parametrize("part", ["a", "@", "a@", "<", "<a", "{", "a://", "&a", "가"])
def test_hostile_text_costs_no_more_than_other_text(identifier, part):
    """Repetition is bounded and patterns do not go back: this would take minutes otherwise."""
    identifier.identify(part * 1_000_000, SERVED)
