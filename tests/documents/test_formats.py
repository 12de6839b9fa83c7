"""What each format translates, and that nothing else changes."""

import json
from xml.etree import ElementTree

import polib
import pytest

from service.documents.reading import SUFFIXES, format_of, read_document
from service.errors import UnreadableDocument, UnsupportedDocument
from service.text.markup import TextFormat

MARKDOWN = """\
---
title: Not touched
---
# A *fine* title #

Some **bold words** and `code here`, a [link](https://example.org "Title")
over two lines with an ![image](a.png) & <b>HTML</b>.\\
After a hard break.

> A quote that
> goes on

- [ ] A task
- 5 * 3 * snake_case_name
  continues

| Head | Other |
|------|-------|
| cell one | `x` |

```python
print("never touched")
```

    indented code

<div>never touched</div>

[ref]: https://example.org "never touched"
"""
HTML = """\
<!DOCTYPE html>
<html><head><title>A title</title><style>p { color: red }</style></head>
<body class='x'><h1>Hello&nbsp;there</h1>
<p>Some <b>bold</b> text
   that goes on<br>After a break</p><!-- a comment -->
<pre>never touched</pre><p translate="no">Name <p>inside</p></p>
<div translate=no><p>no</p><div>no</div>no</div>
<script>if (a < b) "never";</script><ul><li>One<li>Two</ul>12 &amp; 3</body></html>
"""
SRT = """\
1
00:00:01,000 --> 00:00:02,500
This sentence stands
on two lines.

2
00:00:03,000 --> 00:00:04,000
{\\an8}- Who is there?
- <i>Nobody.</i>

3
00:00:05,000 --> 00:00:06,000
12

"""
VTT = """\
WEBVTT - Title never touched

NOTE
never touched

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.000 align:start
<v Anna>Hello <00:01.500>there &amp; welcome

00:03.000 --> 00:04.000
Bye.
"""
JSON = """\
{ "title": "A title",  "size": 12.50, "none": null,
  "list": ["one", {"title": "a \\"quoted\\" word\\nand line"}, "12"],
  "caf\\u00e9": "caf\\u00e9" }
"""
PO = """\
# A comment
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

#: a.c:1
#, c-format
msgid "Open %s"
msgstr ""

msgctxt "menu"
msgid ""
"A long "
"text\\n"
msgstr ""

msgid "Done already"
msgstr "끝났어요"

msgid "%d file"
msgid_plural "%d files"
msgstr[0] ""
msgstr[1] ""

#~ msgid "Obsolete"
#~ msgstr ""
"""
XLIFF = """\
<?xml version="1.0" encoding="UTF-8"?>
<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2">
  <file source-language="en" target-language="ko" original="a" datatype="html">
    <body>
      <trans-unit id="1">
        <source>Hello <x id="N"/> &amp; <g id="1">world</g></source>
      </trans-unit>
      <trans-unit id="2"><source>Empty</source><target/></trans-unit>
      <trans-unit id="3"><source>New</source><target state="new">New</target></trans-unit>
      <trans-unit id="4"><source>Done</source><target>끝</target></trans-unit>
      <trans-unit id="5" translate="no"><source>Name</source></trans-unit>
      <trans-unit id="6"><source>12</source>
        <alt-trans><source>never</source><target></target></alt-trans></trans-unit>
    </body>
  </file>
</xliff>
"""
TEXT = """\
A line.

    Another line, indented

This paragraph was wrapped to a width of sixty columns, as
letters are, and should be translated as one text although
it stands on three lines.
"""
SAMPLES = {
    ".txt": TEXT,
    ".md": MARKDOWN,
    ".html": HTML,
    ".srt": SRT,
    ".vtt": VTT,
    ".json": JSON,
    ".po": PO,
    ".xlf": XLIFF,
}
IN_PLACE = [suffix for suffix in SAMPLES if suffix not in (".po", ".xlf")]


def read(suffix: str, content: str):
    """A document of this kind."""
    return read_document(f"name{suffix}", content.encode())


def shouted(suffix: str, content: str) -> str:
    """The document with letters outside of tags in capitals, as a translation would have them."""
    document = read(suffix, content)
    return document.write([upper(text, document.format) for text in document.texts]).decode()


def upper(text: str, kind: TextFormat) -> str:
    """In capitals, but for tags and entities."""
    if kind is TextFormat.TEXT:
        return text.upper()
    parts = [part for piece in text.split("<") for part in piece.split(">", 1)]
    done = [part.upper() if i % 2 == 0 else f"<{part}>" for i, part in enumerate(parts)]
    return "".join(done).replace("&AMP;", "&amp;").replace("&NBSP;", "&nbsp;")


@pytest.mark.parametrize("suffix", IN_PLACE)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_translation_that_changes_nothing_gives_the_same_bytes(suffix, newline, mark):
    """Escapes, white space, line ends and a byte order mark included."""
    data = (mark + SAMPLES[suffix].replace("\n", newline)).encode()
    document = read_document(f"name{suffix}", data)
    assert document.texts
    assert document.write(document.texts) == data


@pytest.mark.parametrize("suffix", SAMPLES)
def test_line_ends_and_byte_order_mark_survive_a_translation(suffix):
    """Whatever is put into the place of the texts."""
    data = ("\ufeff" + SAMPLES[suffix].replace("\n", "\r\n")).encode()
    document = read_document(f"name{suffix}", data)
    found = document.write([text.upper() for text in document.texts]).decode()
    assert found.startswith("\ufeff")
    assert "\n" not in found.replace("\r\n", "")


@pytest.mark.parametrize("suffix", SAMPLES)
def test_a_file_without_text_comes_back_as_it_is(suffix):
    """Nothing to translate is no error."""
    content = {".json": "12", ".xlf": "<xliff/>"}.get(suffix, " \n12\n")
    if suffix == ".po":
        content = "# nothing\n"
    document = read(suffix, content)
    assert document.texts == ()
    assert document.write([]) == content.encode()


def test_plain_text():
    """A wrapped paragraph is one text, and is wrapped again; other lines stand alone."""
    assert read(".txt", TEXT).texts == (
        "A line.",
        "Another line, indented",
        "This paragraph was wrapped to a width of sixty columns, as letters are, and should be"
        " translated as one text although it stands on three lines.",
    )
    document = read(".txt", TEXT)
    assert document.write(["가.", "나", "하나 둘 셋 넷 다섯 여섯"]).decode() == (
        "가.\n\n    나\n\n하나 둘\n셋 넷\n다섯 여섯\n"
    )


def test_short_lines_are_texts_of_their_own():
    """Verses, addresses, lists and sentences one to a line."""
    lines = ("Roses are red,", "violets are blue,", "sugar is sweet")
    assert read(".txt", "\n".join(lines)).texts == lines
    sentences = (
        "This sentence stands on a line of its own, and it is long.",
        "So does this sentence, and it is about as long as that one.",
    )
    assert read(".txt", "\n".join(sentences)).texts == sentences


def test_markdown():
    """Inline syntax becomes tags, and comes back."""
    document = read(".md", MARKDOWN)
    assert document.format is TextFormat.XML
    assert document.texts == (
        "A <m0>fine</m0> title",
        "Some <m0>bold words</m0> and <m2/>, a <m3>link</m3> over two lines with an <m5/> &amp; "
        "<m6>HTML</m6>.",
        "After a hard break.",
        "A quote that goes on",
        "A task",
        "5 * 3 * snake_case_name continues",
        "Head",
        "Other",
        "cell one",
    )
    found = shouted(".md", MARKDOWN)
    assert "# A *FINE* TITLE #\n" in found
    assert 'SOME **BOLD WORDS** AND `code here`, A [LINK](https://example.org "Title")' in found
    assert "AN ![image](a.png) & <b>HTML</b>.\\\nAFTER A HARD BREAK.\n" in found
    assert "> A QUOTE\n> THAT GOES ON\n" in found or "> A QUOTE THAT\n> GOES ON\n" in found
    assert "- [ ] A TASK\n- 5 * 3 * SNAKE_CASE_NAME\n  CONTINUES\n" in found
    assert "| CELL ONE | `x` |" in found
    for kept in ("title: Not touched", "never touched", "    indented code"):
        assert found.count(kept) == MARKDOWN.count(kept)


def test_html():
    """Blocks are texts, with their inline tags; line breaks in them are spaces."""
    assert read(".html", HTML).texts == (
        "A title",
        "Hello&nbsp;there",
        "Some <b>bold</b> text that goes on",
        "After a break",
        "One",
        "Two",
    )
    found = shouted(".html", HTML)
    assert "<p>SOME <b>BOLD</b> TEXT THAT GOES ON<br>AFTER A BREAK</p><!-- a comment -->" in found
    assert '<p translate="no">Name <p>inside</p></p>' in found
    assert "<li>ONE<li>TWO</ul>12 &amp; 3</body></html>" in found


def test_broken_html_is_read_as_far_as_it_goes():
    """Nothing is lost, whatever is missing."""
    for content in ("<p>Hello", "a < b and <b", "<!-- open", "<div translate=no>x", "</p>x<p"):
        document = read(".html", content)
        assert document.write(document.texts) == content.encode()


def test_subrip():
    """A cue's lines are joined and wrapped again, speakers stay apart, times stay."""
    document = read(".srt", SRT)
    assert document.format is TextFormat.HTML
    assert document.texts == (
        "This sentence stands on two lines.",
        "Who is there?",
        "<i>Nobody.</i>",
    )
    found = document.write(["이 문장은 두 줄에 있어요.", "누구세요?", "<i>아무도.</i>"]).decode()
    assert "2,500\n이 문장은 두\n줄에 있어요.\n\n2\n" in found
    assert "{\\an8}- 누구세요?\n- <i>아무도.</i>\n\n3\n" in found
    assert read(".srt", "1\n00:00:01,000 --> 00:00:02,000\na < b\n").format is TextFormat.TEXT


def test_a_shorter_translation_leaves_no_empty_line_in_a_cue():
    """Which would end it."""
    cue = "1\n00:00:01,000 --> 00:00:02,000\nTwo\nlines\n\n2\n"
    assert read(".srt", cue).write(["하나"]).decode() == cue.replace("Two\nlines", "하나")


def test_an_empty_line_inside_a_subrip_cue():
    """Does not end it; the next number and time do."""
    cue = "1\n00:00:01,000 --> 00:00:02,000\nOne\n\nTwo\n2\n00:00:03,000 --> 00:00:04,000\nThree\n"
    assert read(".srt", cue).texts == ("One", "Two", "Three")


def test_webvtt():
    """Notes, styles, names of cues and settings stay."""
    document = read(".vtt", VTT)
    assert document.texts == ("<v Anna>Hello there &amp; welcome", "Bye.")
    assert shouted(".vtt", VTT) == VTT.replace(
        "Hello <00:01.500>there &amp; welcome", "HELLO THERE &amp; WELCOME"
    ).replace("Bye", "BYE")


def test_json():
    """Values that are strings, at any depth; keys are not touched."""
    document = read(".json", JSON)
    assert document.texts == ("A title", "one", 'a "quoted" word\nand line', "café")
    found = document.write(["제목", "하나", '"둘"\n', "셋"]).decode()
    assert found.isascii()  # as the file was
    assert json.loads(found) == {
        "title": "제목",
        "size": 12.5,
        "none": None,
        "list": ["하나", {"title": '"둘"\n'}, "12"],
        "café": "셋",
    }
    assert read(".json", '["é"]').write(["가"]).decode() == '["가"]'


def test_gettext():
    """polib reads what was filled in; what was translated and what is obsolete stays."""
    document = read(".po", PO)
    assert document.texts == ("Open %s", "A long text\n", "%d file", "%d files")
    written = document.write(['"%s" 열기', "긴\n", "파일", "파일 %d"]).decode()
    found = polib.pofile(written)
    assert [entry.msgstr for entry in found if not entry.obsolete][:3] == [
        '"%s" 열기',
        "긴\n",
        "끝났어요",
    ]
    assert found.find("%d file").msgstr_plural == {0: "파일", 1: "파일 %d"}
    assert [line for line in written.splitlines() if line not in PO.splitlines()] == [
        'msgstr "\\"%s\\" 열기"',
        'msgstr "긴\\n"',
        'msgstr[0] "파일"',
        'msgstr[1] "파일 %d"',
    ]


def test_a_language_without_plural_has_the_plural_form():
    """The only form is said of any number."""
    content = 'msgid "a file"\nmsgid_plural "%d files"\nmsgstr[0] ""\n'
    assert read(".po", content).texts == ("%d files",)


def test_xliff():
    """Targets that are missing, empty or new are filled in; tags inside stay with their text."""
    document = read(".xlf", XLIFF)
    assert document.format is TextFormat.XML
    assert document.texts == ('Hello <x id="N"/> &amp; <g id="1">world</g>', "Empty", "New")
    found = document.write(['<x id="N"/> <g id="1">세계</g>', "빈", "새"]).decode()
    assert '</source>\n        <target><x id="N"/> <g id="1">세계</g></target>\n' in found
    assert "<source>Empty</source><target>빈</target>" in found
    assert '<target state="needs-review-translation">새</target>' in found
    space = "{urn:oasis:names:tc:xliff:document:1.2}"
    units = ElementTree.fromstring(found.encode()).iter(f"{space}trans-unit")
    assert [unit.findtext(f"{space}target") for unit in units][1:] == ["빈", "새", "끝", None, None]


def test_xliff_2():
    """A segment is a unit, and `initial` its state before translation."""
    content = (
        '<x:xliff version="2.0" xmlns:x="urn:oasis:names:tc:xliff:document:2.0"><x:file><x:unit>'
        '<x:segment state="initial"><x:source>Hi</x:source></x:segment>'
        "</x:unit></x:file></x:xliff>"
    )
    found = read(".xliff", content).write(["안녕"]).decode()
    assert "<x:source>Hi</x:source><x:target>안녕</x:target>" in found


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.txt", "안녕".encode("euc-kr"), "not UTF-8"),
        ("a.txt", b"a\0b", "NUL"),
        ("a.json", b'{"a": }', "not valid JSON: Expecting value: line 1 column 7"),
        ("a.json", b"[" * 100_000, "nested too deeply"),
        ("a.po", b'msgid "a"\nmsgstr "\nmsgid x\n', "line 2"),
        ("a.po", b'msgid ""\nmsgstr "charset=EUC-KR\\n"\n', "EUC-KR"),
        ("a.xlf", b"<xliff><file></xliff>", "not valid XML: mismatched tag: line 1"),
        ("a.xlf", b"<html/>", "the root element is html"),
        ("a.xlf", b'<?xml version="1.0" encoding="EUC-KR"?><xliff/>', "EUC-KR"),
        ("a.xlf", b'<!DOCTYPE x [<!ENTITY a "b">]><xliff/>', "entity declarations"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(name, data, words):
    """With the place, where there is one."""
    with pytest.raises(UnreadableDocument, match=words):
        read_document(name, data)


@pytest.mark.parametrize("name", ["a.docx", "a", "", ".txt.exe"])
def test_other_kinds_of_files_are_refused(name):
    """The message lists what there is."""
    with pytest.raises(UnsupportedDocument, match=r"\.txt, \.md"):
        format_of(name)


def test_the_suffix_may_be_in_capitals():
    """As some systems write them."""
    assert format_of("A.SRT").name == "srt"
    assert len(set(SUFFIXES)) == len(SUFFIXES)
