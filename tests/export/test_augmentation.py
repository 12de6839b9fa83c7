"""Changes to training examples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_export.data.augmentation import Augmenter, concatenated, run_together, with_placeholders
from model_export.data.corpus import Example
from model_export.data.tokenizer import PLACEHOLDERS
from model_export.recipe import AugmentationRecipe


def example(source, target):
    """Into Korean."""
    return Example("en", "ko", source, target)


def rng():
    """The same each time."""
    return np.random.default_rng(7)


@pytest.mark.parametrize(
    ("source", "target", "copied"),
    [
        ("I use GitHub.", "저는 GitHub를 써요.", ["GitHub"]),
        ("Gate 27 at 10:30", "27번 탑승구, 10:30", ["27", "10:30"]),
        ("See https://a.example/b?c=1 now", "지금 https://a.example/b?c=1 참고", ["https://a"]),
        ("Hello, {name}!", "{name}님, 안녕하세요!", ["{name}"]),
        ("Delete %s?", "%s을 삭제할까요?", ["%s"]),
    ],
)
def test_what_both_sides_share_becomes_a_placeholder(source, target, copied):
    """The same one on both sides, and the particle stays where it was."""
    changed = with_placeholders(example(source, target), rng())
    found = [c for c in changed.source_text if c in PLACEHOLDERS]
    assert len(found) == len(copied)
    assert sorted(found) == sorted(c for c in changed.target_text if c in PLACEHOLDERS)
    assert not any(text in changed.source_text + changed.target_text for text in copied)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("I am 3.", "저는 세 살이에요."),  # on one side only
        ("2 and 2", "2 더하기 2"),  # which is which?
        ("I have 12 cats", "고양이가 112마리"),  # another number
        ("A cat", "A형"),  # a single letter is no name
    ],
)
def test_what_is_not_plainly_the_same_stays(source, target):
    """No placeholder unless both sides say it once."""
    assert with_placeholders(example(source, target), rng()) == example(source, target)


@given(st.text(max_size=40), st.text(max_size=40))
def test_placeholders_can_always_be_put_back(source, target):
    """Whatever the texts, each side gets the same placeholders, each once."""
    if set(PLACEHOLDERS) & set(source + target):
        return
    changed = with_placeholders(example(source, target), rng())
    sides = [
        sorted(c for c in text if c in PLACEHOLDERS)
        for text in (changed.source_text, changed.target_text)
    ]
    assert sides[0] == sides[1] == sorted(set(sides[0]))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("lower_case", "good morning, minsu."), ("no_final_mark", "Good morning, Minsu")],
)
def test_sources_lose_what_people_leave_out(kind, expected):
    """The target stays as it should be."""
    augmenter = Augmenter(AugmentationRecipe(**{kind: 0.5}))
    before = example("Good morning, Minsu.", "좋은 아침이에요, 민수 씨.")
    assert augmenter.change(before, rng()) == example(expected, before.target_text)


def test_a_source_is_never_emptied():
    """A text of marks alone keeps them."""
    augmenter = Augmenter(AugmentationRecipe(no_final_mark=0.5))
    assert augmenter.change(example("...", "..."), rng()).source_text == "..."


def test_korean_spaces_are_left_out_and_others_kept():
    """Letters stay, in order; spaces beside other scripts too."""
    text = "나는 오늘 학교에 갔다 since 아침 일찍 부터"
    changed = run_together(Example("ko", "en", text, "x"), rng()).source_text
    assert changed.replace(" ", "") == text.replace(" ", "")
    assert " since " in changed
    assert changed.count(" ") < text.count(" ")


def test_two_examples_become_one():
    """Both sides in the same order."""
    joined = concatenated(example("One.", "하나."), example("Two.", "둘."))
    assert joined == example("One. Two.", "하나. 둘.")


def test_changes_are_made_in_their_shares():
    """Of 2,000 changes a quarter is the one with a quarter of the shares."""
    augmenter = Augmenter(AugmentationRecipe(lower_case=0.3, no_final_mark=0.1))
    generator, before = rng(), example("Good.", "좋다.")
    changed = [augmenter.change(before, generator).source_text for _ in range(2000)]
    assert 400 < changed.count("Good") < 600
    assert changed.count("Good") + changed.count("good.") == 2000
