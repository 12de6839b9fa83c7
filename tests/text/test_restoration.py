"""What the model must not touch comes back, whatever the model makes of it."""

import random
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.text.glossary import Glossary, Term, find_terms
from service.text.protection import find_protected, shield
from service.text.restoration import restore

LITERALS = ["{name}", "%s", "%1$s", "{{x}}", "${x}", "https://example.com/a?b=1", "me@example.com"]
LITERALS += ["`ls -l`", '<x id="7"/>', '<x id="7"></x>', "{0}", "{2}", "{1}", "%(n)s", "@someone"]


def translated(sentence, model, terms=()):
    """A sentence after a model that is a function of what it reads."""
    glossary = Glossary(tuple(Term(*term) for term in terms))
    shielded = shield(sentence, find_protected(sentence))
    said = model(shielded.rewriting.after)
    return restore(shielded, find_terms(sentence, glossary), said, None).rewriting.after


def test_a_faithful_model_changes_nothing():
    """What is hidden comes back where it was."""
    sentence = "Hello {name}, see https://example.com. 😀 Write to `me` :)"
    assert translated(sentence, lambda text: text) == sentence


def mangle(text, seed):
    """Drops, doubles, swaps, tears and invents words."""
    random.seed(seed)
    words = text.split(" ")
    random.shuffle(words)
    words = [word for word in words for _ in range(random.choice([0, 1, 1, 2]))]
    words += random.choices(["{1}", "{7}", "%s", "1", "{", "{2", "나는", "x@y.com"], k=3)
    return " ".join(words)


@given(st.lists(st.sampled_from([*LITERALS, "word", "서울"]), min_size=1), st.integers(0, 99))
def test_each_literal_comes_back_once(parts, seed):
    """However a model drops, doubles and tears apart what it reads."""
    sentence = " ".join([*parts, "@me"])
    result = translated(sentence, lambda text: mangle(text, seed)).replace("@me", "", 1)
    literals = "|".join(map(re.escape, sorted(LITERALS, key=len, reverse=True)))
    found = re.findall(literals.replace("%s", "%s(?![A-Za-z0-9])"), result)
    assert Counter(found) == Counter(part for part in parts if part in LITERALS), result


@given(
    st.lists(st.sampled_from(["cat", "black cat", "dog", "Seoul", "a", "{x}", "😀"]), min_size=1),
    st.integers(0, 99),
)
def test_terms_appear(parts, seed):
    """As often as their sources do."""
    terms = [("cat", "고양이"), ("black cat", "검은 고양이"), ("Seoul", "Seoul")]
    sentence = " ".join(parts)
    result = translated(sentence, lambda text: mangle(text, seed), terms)
    cats = parts.count("cat") + parts.count("black cat")
    assert len(re.findall("(?<![가-힣])고양이", result)) >= cats
    assert result.count("검은 고양이") >= parts.count("black cat")
    assert result.count("Seoul") >= parts.count("Seoul")
    assert result.count("😀") == parts.count("😀")
    assert result.count("{x}") == parts.count("{x}")


@pytest.mark.parametrize(
    ("sentence", "said", "expected"),
    [
        ("Open https://a.com/file now.", "지금 {1}를 여세요.", "지금 https://a.com/file을 여세요."),
        ("Open `abc` now.", "지금 {1}을(를) 여세요.", "지금 `abc`를 여세요."),
        ("Open {file} now.", "지금 {1}를 여세요.", "지금 {file}을(를) 여세요."),
        ("Go to `Linux` now.", "지금 {1}으로 가세요.", "지금 `Linux`로 가세요."),
    ],
)
def test_particles_agree_with_what_comes_back(sentence, said, expected):
    """Where nobody knows what will be there, both forms stand."""
    assert translated(sentence, lambda _: said) == expected


@pytest.mark.parametrize(
    ("said", "target", "expected"),
    [
        ("개가 잔다.", "고양이", "고양이가 잔다."),
        ("고양이는 잔다.", "곰", "곰은 잔다."),
        ("개를(을) 봤다.", "곰", "곰을 봤다."),
        ("곰으로 간다.", "바다", "바다로 간다."),
        ("바다로 간다.", "서울", "서울로 간다."),
        ("바다로 간다.", "산", "산으로 간다."),
        ("고양이 잔다.", "고양이", "고양이 잔다."),
    ],
)
def test_a_term_takes_the_particle_over(said, target, expected):
    """In the form that its own end asks for."""
    assert translated("cat", lambda _: said, [("cat", target)]) == expected


def test_a_picture_stays_near_its_word():
    """At its end of the sentence, or behind the same word."""
    same = "I love 😀 dogs."
    assert translated(same, lambda text: text) == same
    assert translated("I go. 😀", lambda _: "나는 가.") == "나는 가. 😀"
    assert translated("I go 😀!", lambda _: "나는 가!") == "나는 가 😀!"
    assert translated("😀 I go", lambda _: "나는 가") == "😀 나는 가"
