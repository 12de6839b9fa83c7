"""What holds for any file, however odd."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.documents.formats.markdown import mark, unmark
from service.documents.reading import read_document
from service.documents.wrapping import wrap

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
LETTERS = st.sampled_from("ab가 \n\r\t<>/&;*_`[]()!{}|#-:0.,'\"\\$~=")
TEXTS = st.text(LETTERS) | st.text(CHARACTERS)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(CHARACTERS),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(CHARACTERS), inner),
)


@pytest.mark.parametrize("suffix", [".txt", ".md", ".html", ".srt", ".vtt"])
@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_any_text_comes_back_as_it_was(suffix, text):
    """When its translation changes nothing; otherwise it is written without a fault."""
    document = read_document(f"a{suffix}", text.encode())
    assert document.write(document.texts) == text.encode()
    document.write(["" for _ in document.texts])
    document.write([f"{text} 가" for text in document.texts])


@settings(max_examples=100, deadline=None)
@given(VALUES, st.booleans())
def test_json_keeps_its_shape(value, ascii_only):
    """Strings change, and nothing else."""
    document = read_document("a.json", json.dumps(value, ensure_ascii=ascii_only).encode())
    assert document.write(document.texts) == json.dumps(value, ensure_ascii=ascii_only).encode()
    texts = iter(document.texts)

    def doubled(each):
        if isinstance(each, str) and any(map(str.isalpha, each)):
            return 2 * next(texts)
        if isinstance(each, list):
            return [doubled(item) for item in each]
        if isinstance(each, dict):
            return {key: doubled(item) for key, item in each.items()}
        return each

    written = document.write([2 * text for text in document.texts])
    assert json.loads(written) == doubled(value)


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_inline_syntax_of_markdown_comes_back(text):
    """Every tag becomes what it was."""
    marked = mark(text)
    assert unmark(marked.syntax, marked.text) == text


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.integers(1, 5))
def test_a_wrapped_text_is_complete(text, lines):
    """In at most so many lines."""
    found = wrap(text, lines)
    assert len(found) <= lines
    assert " ".join(found) == text
