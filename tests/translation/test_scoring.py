"""Confidence is that of the bundle's calibration; a text's is that of its sentences."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.bundle import ConfidenceSpec
from service.engine.request import Decoded, FinishReason
from service.engine.search import hypothesis
from service.translation.scoring import confidence, mean_score, text_confidence

SPEC = ConfidenceSpec("en-ko", 25.0, 4.0, 6.0, 1000, 0.02)


def said(*scores):
    """A hypothesis with these scores of its pieces and its eos."""
    return hypothesis(range(len(scores) - 1), scores, FinishReason.EOS, 1.0)


def test_the_mean_is_that_of_what_the_model_was_free_to_say():
    """A forced prefix would make it look sure; pieces that are only nearly certain count."""
    assert mean_score(said(-1.0, -3.0)) == -2.0
    assert mean_score(said(0.0, 0.0, -1.0, -3.0)) == -2.0
    assert mean_score(said(-1.0, 0.0, -2.0)) == -1.0
    assert mean_score(said(0.0, 0.0)) == 0.0


@given(st.lists(st.floats(-20, -0.001), min_size=1, max_size=9), st.floats(0.01, 3))
def test_a_worse_score_never_makes_surer(scores, worse):
    """And it stays between 0 and 1."""
    first = confidence(SPEC, said(*scores))
    last = confidence(SPEC, said(*(score - worse for score in scores)))
    assert 0 <= last <= first <= 1


def test_the_confidence_is_that_of_the_calibration():
    """By the formula of the manifest."""
    assert confidence(SPEC, said(-0.5, -1.0)) == pytest.approx(1 / (1 + math.exp(0.5)))


def test_a_text_is_as_sure_as_its_sentences_by_their_length():
    """A long doubtful sentence weighs more than a short sure one."""
    sure, doubtful = (Decoded((said(score),), 0.0, 0.0) for score in (-0.1, -2.0))
    found = text_confidence(SPEC, ["Yes.", "x" * 36], [sure, doubtful])
    parts = [confidence(SPEC, each.hypotheses[0]) for each in (sure, doubtful)]
    assert found == pytest.approx(0.1 * parts[0] + 0.9 * parts[1])


def test_without_a_calibration_or_sentences_nothing_is_said():
    """Better than a number that means nothing."""
    assert text_confidence(None, ["Yes."], [Decoded((said(-1.0),), 0.0, 0.0)]) is None
    assert text_confidence(SPEC, [], []) is None
