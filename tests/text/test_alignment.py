"""Word links and spans."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.text.alignment import Span, WordLink, link_words, overlap, words
from service.text.segmentation import segment


def test_words_are_found_in_both_scripts():
    """Marks and white space are no words; an apostrophe joins."""
    text = "I don't — 저는, 12!"
    assert [text[w.start : w.end] for w in words(text)] == ["I", "don't", "저는", "12"]


def test_a_piece_counts_where_it_lies():
    """Half a piece in a word is half a vote."""
    table = overlap([Span(0, 4), Span(4, 6)], [Span(0, 2), Span(4, 6)])
    assert table.tolist() == [[0.5, 0.0], [0.0, 1.0]]


def test_words_link_to_what_their_pieces_look_at():
    """Pieces of a word vote together; a word that looks at no word is left alone."""
    source = "red cats", [Span(0, 3), Span(3, 8)]
    target = "고양이 빨간", [Span(0, 2), Span(2, 3), Span(3, 6)]
    attention = np.array([[0.1, 0.9], [0.4, 0.6], [0.0, 0.0]], dtype=np.float32)
    assert link_words(attention, source, target) == (WordLink(Span(4, 8), Span(0, 3)),)
    assert link_words(attention[:, :0], ("…", []), target) == ()


@given(st.text(max_size=60))
def test_starts_say_where_sentences_stand(text):
    """`starts` and `join` agree."""
    cut = segment(text, "en")
    starts = cut.starts(cut.sentences)
    for start, sentence in zip(starts, cut.sentences, strict=True):
        assert text[start : start + len(sentence)] == sentence
