"""Bad translations are found, good ones are left in peace."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.text.quality import Fault, faults, severity

EN_KO, KO_EN = ("en", "ko"), ("ko", "en")
LONG = "The doctor said that the patient needed more rest than he had thought at first."


@pytest.mark.parametrize(
    ("source", "translation", "languages", "fault"),
    [
        ("She just ran over.", "", EN_KO, Fault.EMPTY),
        ("She just ran over.", " ...", EN_KO, Fault.EMPTY),
        ("The novelist saw it.", "소설가 소설가 소설가 소설가가 봤다.", EN_KO, Fault.REPETITION),
        ("영화에는 안 나와요.", "It is not in the the the the movies.", KO_EN, Fault.REPETITION),
        ("잠이 안 와요.", "I can't sleeeeeeep at all.", KO_EN, Fault.REPETITION),
        ("hello hello hello", "안녕 안녕 안녕 안녕 안녕 안녕 안녕", EN_KO, Fault.REPETITION),
        ("Please leave the house.", "Please leave the house!", EN_KO, Fault.COPIED_SOURCE),
        ("Please leave the house.", "Bitte gehen Sie aus dem Haus.", EN_KO, Fault.WRONG_SCRIPT),
        ("그 사람은 집에 갔다.", "He 갔다 to 그의 집.", KO_EN, Fault.WRONG_SCRIPT),
        ("Please leave the house.", "Пожалуйста, выйдите из дома.", EN_KO, Fault.WRONG_SCRIPT),
        (LONG, "의사.", EN_KO, Fault.TOO_SHORT),
        ("의사가 그렇게 말했어요.", LONG * 2, KO_EN, Fault.TOO_LONG),
        ("Write to a.b@example.org.", "example.org로 쓰세요.", EN_KO, Fault.LOST_PLACEHOLDER),
        ("See https://example.org/a.", "https를 보세요.", EN_KO, Fault.LOST_PLACEHOLDER),
        ("Hello, {name}!", "안녕하세요, {이름}!", EN_KO, Fault.LOST_PLACEHOLDER),
        ("%1$s sent %2$d files.", "%1$s가 파일을 보냈습니다.", EN_KO, Fault.LOST_PLACEHOLDER),
        ("Take bus 273.", "27번 버스를 타세요.", EN_KO, Fault.LOST_NUMBER),
        ("1798년까지 268년 동안.", "Until 1798 for 28 years.", KO_EN, Fault.LOST_NUMBER),
    ],
)
def test_what_cannot_be_right_is_named(source, translation, languages, fault):
    """Each kind, and nothing else."""
    assert faults(source, translation, languages) == (fault,)


@pytest.mark.parametrize(
    ("source", "translation", "languages"),
    [
        ("Ha ha ha ha!", "하하하하!", EN_KO),
        ("no no no no", "아니 아니 아니 아니", EN_KO),
        ("ㅋㅋㅋㅋㅋㅋ 웃겨", "Lol, funny", KO_EN),
        ("Wait... wait......", "잠깐... 잠깐......", EN_KO),
        ("It costs 1,000,000 won.", "1000000원이에요.", EN_KO),
        ("It costs 20 million won.", "2,000만 원이에요.", EN_KO),
        ("12월 25일은 쉬어요.", "December 25 is a holiday.", KO_EN),
        ("오후 14시에 만나요.", "Let's meet at 2 p.m.", KO_EN),
        ("At 10:00 he rings the bell.", "10시에 그는 종을 울린다.", EN_KO),
        ("알람은 5시 55분에 울려요.", "My alarm goes off at 5:55.", KO_EN),
        ("20명이 왔어요.", "Twenty people came.", KO_EN),
        ("A dozen of the 12 eggs.", "달걀 열두 개.", EN_KO),
        ("In '85 it rained.", "1985년에 비가 왔다.", EN_KO),
        ("Judy and Betty are sisters.", "Judy와 Betty는 자매이다.", EN_KO),
        ("NASA", "NASA", EN_KO),
        ("Visual Studio Code", "Visual Studio Code", EN_KO),
        ("Save it as budget_2026.xlsx.", "budget_2026.xlsx로 저장하세요.", EN_KO),
        ("Hello, {name}: https://a.org/b?c=1.", "{name}님: https://a.org/b?c=1.", EN_KO),
        ("OK", "네", EN_KO),
        ("🎉🎉🎉🎉🎉🎉", "🎉", EN_KO),
        ("Dobrý den, jak se dnes máte?", "Bonjour, comment allez-vous aujourd'hui ?", ("cs", "xx")),
    ],
)
def test_what_may_be_right_is_left_in_peace(source, translation, languages):
    """Numbers in another form, names, laughter."""
    assert faults(source, translation, languages) == ()


def test_a_translation_that_was_cut_off_says_so():
    """Whatever it looks like."""
    assert faults("Hello there.", "안녕하세요", EN_KO, cut_off=True) == (Fault.LENGTH_LIMIT,)


def test_every_fault_has_words():
    """And weighs something."""
    for fault in Fault:
        assert fault.message
        assert severity([fault]) > 0
    assert severity(()) == 0
    assert severity([Fault.REPETITION]) > severity([Fault.LOST_NUMBER])


@given(st.text(), st.text(), st.sampled_from([EN_KO, KO_EN, ("xx", "yy")]))
def test_any_two_texts_can_be_judged(source, translation, languages):
    """Nothing is raised, and the same is found again."""
    found = faults(source, translation, languages)
    assert faults(source, translation, languages) == found
    assert len(set(found)) == len(found)
