"""Where sentences end, what stays in the gaps, and that nothing of a text is ever lost."""

import unicodedata
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.text.segmentation import Segmentation, segment

# Fragments that meet the rules often, among any characters at all, lone surrogates included.
FRAGMENTS = st.sampled_from(
    (
        *(". ", "? ", '."', ", ", ",", "『", "』", "\r\n", "\n", "\u3000", "1,000", "2024. 5. 1."),
        *("고 ", "가겠다", "각", "Mr. ", "e.g. ", "A", "word", "B\u00a0."),
        *("e\u0301", "👩\u200d👧", "🇰🇷"),
    )
)
TEXTS = st.lists(FRAGMENTS | st.text(st.characters(), max_size=8), max_size=30).map("".join)
LANGUAGES = st.sampled_from(["en", "ko"])


def sentences(text: str, language: str, max_characters: int = 600) -> list[str]:
    return list(segment(text, language, max_characters).sentences)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It rains. Stay home! Why?", ["It rains.", "Stay home!", "Why?"]),
        ("Dr. Smith met Mr. Kim. They left.", ["Dr. Smith met Mr. Kim.", "They left."]),
        ("We met Ms. Park. She left.", ["We met Ms. Park.", "She left."]),
        ("Take fruit, e.g. this. Go.", ["Take fruit, e.g. this.", "Go."]),
        ("A paper, e.g. The Times. Go.", ["A paper, e.g. The Times.", "Go."]),
        ("The last, i.e. That one. Go.", ["The last, i.e. That one.", "Go."]),
        ("See No. 5 there. Go.", ["See No. 5 there.", "Go."]),
        ("See Vol. 2 and Ch. 5. Go.", ["See Vol. 2 and Ch. 5.", "Go."]),
        ("He owns the first vol. Then he left.", ["He owns the first vol.", "Then he left."]),
        ("Pi is 3.14. Go.", ["Pi is 3.14.", "Go."]),
        ("It grew by 0.1. Go.", ["It grew by 0.1.", "Go."]),
        ("We use ASP.NET now. Go.", ["We use ASP.NET now.", "Go."]),
        ('"Stop!" he said. He left.', ['"Stop!" he said.', "He left."]),
        ("He lives in the U.S. He likes it.", ["He lives in the U.S.", "He likes it."]),
    ],
)
def test_english_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text, "en") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("비가 온다. 집에 있자! 왜?", ["비가 온다.", "집에 있자!", "왜?"]),
        ("안녕하세요.반갑습니다.", ["안녕하세요.", "반갑습니다."]),
        ('그는 "가겠다."고 말했다. 갔다.', ['그는 "가겠다."고 말했다.', "갔다."]),
        ("그는 “가자. 어서.”라며 갔다.", ["그는 “가자. 어서.”라며 갔다."]),
        ("‘안 된다.’는 말을 들었다.", ["‘안 된다.’는 말을 들었다."]),
        ("영화 ‘왜?’를 봤다. 좋았다.", ["영화 ‘왜?’를 봤다.", "좋았다."]),
        ("『봄.』을 읽고 〈왜?〉를 봤다.", ["『봄.』을 읽고 〈왜?〉를 봤다."]),
        ('"갈 거야?" 하고 물었다. 갔다.', ['"갈 거야?" 하고 물었다.', "갔다."]),
        ("“가자.” 고 말했다.", ["“가자.” 고 말했다."]),
        ("“가자.” 고양이가 울었다.", ["“가자.”", "고양이가 울었다."]),
        ("“왜?” 그녀가 물었다.", ["“왜?”", "그녀가 물었다."]),
        ("2024. 5. 1. 회의가 있다. 오라.", ["2024. 5. 1. 회의가 있다.", "오라."]),
        ("회의는 2024. 5. 1.(수) 연다.", ["회의는 2024. 5. 1.(수) 연다."]),
        ("2024.5.1. 회의가 있다.", ["2024.5.1. 회의가 있다."]),
        ("2024. 5. 1. ~ 6. 30.까지이다.", ["2024. 5. 1. ~ 6. 30.까지이다."]),
        ("값은 3.5이다. 싸다.", ["값은 3.5이다.", "싸다."]),
        ("가. 첫째 항목이다.\n나. 둘째이다.", ["가. 첫째 항목이다.", "나. 둘째이다."]),
    ],
)
def test_korean_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text, "ko") == expected


def test_line_breaks_end_sentences_and_stay_in_gaps() -> None:
    assert segment(" one\r\n\ntwo,\n\tthree.  Four.\n", "en") == Segmentation(
        ("one", "two,", "three.", "Four."), (" ", "\r\n\n", "\n\t", "  ", "\n")
    )


def test_line_break_ends_a_sentence_within_quotes() -> None:
    assert sentences('"가자\n어서" 갔다.', "ko") == ['"가자', '어서" 갔다.']


@pytest.mark.parametrize("text", ["", " \n\t", "1,234.5", "?! 😀\n--- * 42.", "2024. 5. 1."])
@pytest.mark.parametrize("language", ["en", "ko"])
def test_text_without_letters_is_one_gap(text: str, language: str) -> None:
    assert segment(text, language) == Segmentation((), (text,))


def test_sentences_without_letters_stay_in_gaps() -> None:
    assert segment("1. First. 😀! Second.", "en") == Segmentation(
        ("First.", "Second."), ("1. ", " 😀! ", "")
    )


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("one two three", 13, ["one two three"]),
        ("one two three", 8, ["one two", "three"]),
        ("one two three", 7, ["one two", "three"]),
        ("one two     three", 9, ["one two", "three"]),
        ("one, two; three", 10, ["one, two;", "three"]),
        ("하나,둘;셋:넷", 6, ["하나,둘;", "셋:넷"]),
        ("abc1,000def", 7, ["abc1,00", "0def"]),
        ("가나다라마바사", 3, ["가나다", "라마바", "사"]),
        ("abcde\u0301f", 5, ["abcd", "e\u0301f"]),
        ("ab👩\u200d👧cd", 4, ["ab", "👩\u200d👧c", "d"]),
        ("ab👍🏽cd", 3, ["ab", "👍🏽c", "d"]),
        ("ab🇰🇷cd", 3, ["ab", "🇰🇷c", "d"]),
        ("가나\u1100\u1161\u11a8라", 4, ["가나", "\u1100\u1161\u11a8라"]),
        ("ab\ud83d\ude00cd", 3, ["ab", "\ud83d\ude00c", "d"]),
        ("e" + "\u0301" * 5, 3, ["e\u0301\u0301"]),
    ],
)
@pytest.mark.parametrize("language", ["en", "ko"])
def test_long_sentences_are_cut(text: str, limit: int, expected: list[str], language: str) -> None:
    segmentation = segment(text, language, limit)
    assert list(segmentation.sentences) == expected
    assert segmentation.join(expected) == text


@pytest.mark.parametrize("space", ["\u00a0", "\u3000", "\u2009"])
def test_wide_spaces_after_initials_do_no_harm(space: str) -> None:
    assert sentences(f"It is plan B{space}. Go.", "en") == [f"It is plan B{space}.", "Go."]


def test_join_puts_translations_between_the_gaps() -> None:
    segmentation = segment(" 안녕.\n잘 가!  ", "ko")
    assert segmentation.join(["Hello.", "Goodbye!"]) == " Hello.\nGoodbye!  "


@pytest.mark.parametrize("translations", [[], ["a"], ["a", "b", "c"]])
def test_join_refuses_another_count(translations: list[str]) -> None:
    with pytest.raises(ValueError, match="2 sentences"):
        segment("One. Two.", "en").join(translations)


def test_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="max_characters"):
        segment("One.", "en", 0)


def test_segmentation_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        segment("One.", "en").gaps = ()  # type: ignore[misc]


@given(TEXTS, LANGUAGES, st.integers(1, 40))
@example("J\u00a0. K\u00a0.", "en", 600)
@example("a\ud800. \udc00b", "en", 2)
def test_nothing_is_lost(text: str, language: str, limit: int) -> None:
    segmentation = segment(text, language, limit)
    assert len(segmentation.gaps) == len(segmentation.sentences) + 1
    assert segmentation.join(segmentation.sentences) == text


@given(TEXTS, LANGUAGES, st.integers(1, 40))
def test_sentences_are_lines_with_letters_and_without_margins(
    text: str, language: str, limit: int
) -> None:
    segmentation = segment(text, language, limit)
    for sentence in segmentation.sentences:
        assert sentence == sentence.strip()
        assert 0 < len(sentence) <= limit
        assert len(sentence.splitlines()) == 1
        assert any(map(str.isalpha, sentence))


@given(TEXTS, LANGUAGES)
def test_gaps_have_no_letters(text: str, language: str) -> None:
    assert not any(map(str.isalpha, "".join(segment(text, language).gaps)))


@given(st.lists(st.sampled_from(["e\u0301", "👩\u200d👧a", "a🇰🇷b", "한"]), min_size=1), LANGUAGES)
def test_cuts_do_not_split_characters(clusters: list[str], language: str) -> None:
    for piece in segment("".join(clusters), language, 5).sentences:
        assert unicodedata.category(piece[0]) in {"Ll", "Lo", "So"}
        assert piece[0] != "👧"
        assert piece.count("🇰") == piece.count("🇷")
