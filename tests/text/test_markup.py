"""Tags in a text: what is text, and that all tags come back, whatever a model says."""

import html
import random
import re
import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.text.alignment import Span
from service.text.cutting import Cutting, cut_text
from service.text.markup import MarkupOptions, TextFormat
from service.text.projection import Attention
from service.text.segmentation import Splitting
from service.translation.assembly import complete
from service.translation.preparation import Sentence

TAG = re.compile(r"<!--.*?-->|</?[A-Za-z][^<>]*>", re.DOTALL)


def same(text):
    """A model that repeats what it reads."""
    return text


def backwards(text):
    """A model that turns the order of words round."""
    return " ".join(reversed(text.split()))


def nasty(seed):
    """A model that drops, doubles and moves words."""

    def say(text):
        chance = random.Random(f"{seed}{text}")
        said = [word for word in text.split() for _ in range(chance.choice([0, 1, 1, 2]))]
        chance.shuffle(said)
        return " ".join([*said, chance.choice(["", "& < > &amp;", "나", "a<b"])])

    return say


def mirrored(shown, said):
    """The attention of a model that says the first word last."""
    read, told = ([Span(*m.span()) for m in re.finditer(r"\S+", text)] for text in (shown, said))
    return Attention(np.eye(len(read), dtype=np.float32)[::-1], tuple(read), tuple(told))


def translated(text, model, attention=lambda *_: None, form="html", **options):
    """A text through everything but a real model."""
    cutting = Cutting(TextFormat(form), MarkupOptions(**options))
    found, done = "", 0
    for cut in cut_text(text, "en", lambda _: True, cutting):
        sentence = Sentence(cut.shielded, (), (), cut.marked)
        said = model(sentence.shown)
        said = complete(sentence, said, attention(sentence.shown, said)).after
        found, done = found + text[done : cut.place.start] + said, cut.place.end
    return found + text[done:]


def steps_of(work, *given, **options):
    """How many lines of Python it takes to do something, each as often as it is run."""
    events = 0

    def count(*_):
        nonlocal events
        events += 1
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        work(*given, **options)
    finally:
        sys.settrace(before)
    return events


@pytest.mark.parametrize(
    "text",
    [
        "<p>Hello <b>big world</b>!</p>",
        "Hello <b>big <i>world</i></b>. Nice to <u>meet you</u>.",
        "<ul><li>One &amp; two</li><li>three &lt; four &copy;&nbsp;5</li></ul>",
        "a < b and c > d & e",
        'An <a href="x?a=1&amp;b=\'2\'" title="a > b">odd link</a> here',
        "<b>One sentence. Another</b> one.",
        "Broken <b>and <i>crossed</b> tags</i> here",
        "Never <b>closed",
        "closed</i> only",
        "An <img src='x.png'/> image and a<br>line break<wbr>.",
        "Run <code>ls  -l &amp;&amp; cd</code> now",
        "<pre>\n  Do  not\n touch </pre> But this.",
        "<script>if (a < b) alert('Hello you')</script>Text",
        "<p translate=\"no\">Not this.</p><p class='x notranslate y'>Nor this.</p>This.",
        "x <!-- a comment --> y <![CDATA[ z ]]> <?php echo ?> <!DOCTYPE html> w",
        "<",
        "&",
        "<<b>>&&amp;&bogus;</b>",
        "Say &quot;hi&quot; &#8212; it&#39;s me",
        "line one\nline two",
        "<p>line one\nof one paragraph</p>",
    ],
)
def test_a_model_that_repeats_changes_nothing(text):
    """Byte for byte, also broken markup, entities and bare marks."""
    assert translated(text, same) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello <b>world</b>", "<b>world</b> Hello"),
        ("Hello <b>world</b>.", "<b>world</b>. Hello"),
        ("<b>Hello</b> world", "world <b>Hello</b>"),
        ("one <b>two <i>three</i></b> four", "four <b><i>three</i> two</b> one"),
        ("<p>a <a href='#'>b c</a> d</p>", "<p>d <a href='#'>c b</a> a</p>"),
        ("use <code>x y</code> now", "now <code>x y</code> use"),
        ("un<b>believ</b>able <i>s</i>tory", "<i>story</i> <b>unbelievable</b>"),
        ("<p>All <b>of it</b></p>", "<p><b>it of</b> All</p>"),
    ],
)
def test_tags_go_with_their_words(text, expected):
    """Where a model has looked; whole words only."""
    assert translated(text, backwards, mirrored) == expected


PARTS = [
    "<b>",
    "</b>",
    "<i class='x'>",
    "</i>",
    "<br>",
    "<p>",
    "</p>",
    "<img src=a>",
    "<code>x y</code>",
]
PARTS += [
    "one",
    "two.",
    "&amp;",
    "&nbsp;",
    "{name}",
    "https://a.com/?a=1&amp;b",
    "😀",
    "서울",
    "<!-- c -->",
]
PARTS += [
    "<span translate=no>as <u>it</u> is</span>",
    " ",
    "\n",
    "&",
    "<",
    ">",
    "</x>",
    '<a b="',
    "&lt;b&gt;",
]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=14), st.integers(0, 50))
def test_the_tags_that_go_in_come_out(parts, seed):
    """Each once, whatever a model does; and without them the text is what it said."""
    text = " ".join(parts)
    result = translated(text, nasty(seed))
    assert Counter(TAG.findall(result)) == Counter(TAG.findall(text)), result


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="<>&;/!-='\"abp \n#1x[]?", max_size=40))
def test_any_marks_are_taken_as_they_come(text):
    """A model that repeats what it reads gives back all that it was given, tags at borders of
    words."""
    for form in ("html", "xml"):
        result = translated(text, same, form=form)
        signs, others = (Counter(html.unescape(each)) for each in (result, text))
        assert signs == others


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["<b>", "</b>", "<i>", "</i>", "one", "two", "three", "&amp;"])))
def test_text_without_tags_is_the_translation_of_the_plain_text(parts):
    """Tags change nothing of the words."""
    text = " ".join(["start", *parts, "end"])
    plain = html.unescape(TAG.sub("", text))
    result = html.unescape(TAG.sub("", translated(text, backwards)))
    assert result.split() == translated(plain, backwards, form="text").split()


def test_xml_has_its_own_rules():
    """Unknown names, structure by outline, tags that split or do not, tags to ignore."""
    text = "<doc><title>One two</title><par>Three <x id='7'></x> four &custom; five</par></doc>"
    assert translated(text, backwards, form="xml").startswith(
        "<doc><title>two One</title><par>five"
    )
    assert translated(text, same, form="xml") == text
    kept = translated("do <x>not touch</x> this", backwards, form="xml", ignore_tags=frozenset("x"))
    assert kept.count("<x>not touch</x>") == 1
    split = translated("a b<s/>c d", backwards, form="xml", splitting_tags=frozenset("s"))
    assert split == "b a<s/>d c"
    joined = translated(
        "<p>a b</p><p>c d</p>", backwards, form="html", non_splitting_tags=frozenset("p")
    )
    assert re.sub("<[^>]*>", "", joined) in ("d bc a", "d c b a", "d bca", "d bc a")


def test_translations_are_escaped():
    """What a model says is no markup."""
    assert (
        translated("<b>x</b>", lambda _: "a < b & <i>c</i>")
        == "<b>a &lt; b &amp; &lt;i&gt;c&lt;/i&gt;</b>"
    )


def test_a_line_break_among_tags_ends_no_sentence():
    """It is white space there; in plain text it is kept."""
    cutting = Cutting(TextFormat.HTML, splitting=Splitting.SENTENCES)
    assert len(cut_text("<p>one\ntwo</p>", "en", lambda _: True, cutting)) == 1
    assert len(cut_text("one\ntwo", "en", lambda _: True, cutting)) == 2


def test_comments_end_as_in_html():
    """At the first end, whatever is in them; an empty one at once; one without an end never."""
    mail = "<!--[if !mso]><!--> a b <!--<![endif]-->"
    assert translated(mail, backwards).split() == [
        "<!--[if",
        "!mso]><!-->",
        "b",
        "a",
        *mail.split()[-1:],
    ]
    assert translated("<!-- c <!-- d e --> a b", backwards) == "<!-- c <!-- d e --> b a"
    assert translated("<!-->a b", backwards) == "<!-->b a"
    assert translated("a b <!-- c d", backwards) == "b a <!-- c d"


HOSTILE = [
    "<!--",
    "<?",
    "<!a",
    "<![CDATA[",
    "<a '",
    "<code>",
    "<b>",
    "</i>",
    "a.",
    "a+",
    "`a",
    "😀 a ",
]
HOSTILE += ["<b>x.</b> Yes it is. ", "word <i></i>", "<kbd>x</kbd> a@b.co ", "a://", "{{", "`"]


@pytest.mark.parametrize("part", HOSTILE)
@pytest.mark.parametrize("form", list(TextFormat))
def test_twice_the_text_takes_twice_the_steps(part, form):
    """Also where everything is special, or nothing that begins ever ends."""
    short, long = (part * (length // len(part)) for length in (4_000, 8_000))
    assert steps_of(translated, long, same, form=form) < 3 * steps_of(
        translated, short, same, form=form
    )


@pytest.mark.parametrize("part", HOSTILE)
@pytest.mark.parametrize("form", list(TextFormat))
def test_no_pattern_looks_for_an_end_from_everywhere(part, form):
    """Steps inside patterns cannot be counted: without bounds these texts would take minutes."""
    text = part * (60_000 // len(part))
    places = [cut.place for cut in cut_text(text, "en", lambda _: True, Cutting(form))]
    assert all(before.end <= after.start for before, after in pairwise(places))


def test_deeply_nested_tags_come_back():
    """More than any stack is deep."""
    text = "<b>" * 5000 + "a b" + "</b>" * 2000 + " c d" + "</b>" * 3000
    result = translated(text, nasty(1))
    assert Counter(TAG.findall(result)) == Counter(TAG.findall(text))
