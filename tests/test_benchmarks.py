"""What benchmarks are made of, at toy size. Needs no peer and compares no times."""

import itertools
from pathlib import Path

import pytest
from fastapi import FastAPI, Response

from benchmarks import fleet
from benchmarks.costs import SAMPLED, by_text_length, open_engine, soak
from benchmarks.decoders import Work, our_decoder, python_share
from benchmarks.interleave import QUICK, speeds
from benchmarks.load import Answer, Phase, put_load
from benchmarks.machine import heading, peak_mib, resident_mib, this_machine
from benchmarks.page import PageError, table, write_section
from benchmarks.plan import Plan
from benchmarks.plots import Panel, plot
from benchmarks.sentences import LONGEST, mixed_sentences, read_sentences
from benchmarks.serving_page import load_of
from service.engine.bundle import load_bundle
from service.engine.vocabulary import load_vocabulary
from tests.serving import serve

BUNDLE = Path(__file__).parent.parent / "models/en-ko-transformer"


@pytest.fixture(scope="module")
def served_bundle():
    """The shipped model."""
    return load_bundle(BUNDLE)


def test_a_section_is_replaced_and_the_rest_stays(tmp_path):
    """What people write around the figures is theirs, and so are other sections."""
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n<!-- a: begin -->\nold\n<!-- a: end -->\nafter\n")
    write_section(page, "a", ["new"])
    write_section(page, "b", ["other"])
    write_section(page, "a", ["newer"])
    assert page.read_text() == (
        "# Title\n\n<!-- a: begin -->\n\nnewer\n\n<!-- a: end -->\nafter\n"
        "<!-- b: begin -->\n\nother\n\n<!-- b: end -->\n"
    )


def test_half_a_section_is_refused(tmp_path):
    """A page without the end of a section would lose what follows."""
    page = tmp_path / "page.md"
    page.write_text("<!-- a: begin -->\nold\n")
    with pytest.raises(PageError):
        write_section(page, "a", ["new"])


def test_a_table_aligns_numbers_to_the_right():
    """Text stands left, figures right."""
    assert list(table(["name", "ms"], [["a", "1"]])) == ["| name | ms |", "|---|---:|", "| a | 1 |"]


def test_a_quick_run_leaves_the_page_alone(tmp_path):
    """Its figures are worth nothing."""
    assert str(Plan.of("engine", tmp_path, tmp_path, None, quick=True).output) != "docs/benchmarks"


def test_the_machine_describes_itself():
    """The heading names the command, and memory can be read."""
    assert "`make bench`" in heading(this_machine(), "make bench")
    assert 0 < resident_mib() <= peak_mib()


def test_a_plot_is_written(tmp_path):
    """Linear and logarithmic axes, one line and several."""
    line = [(1, 2.0), (8, 3.0)]
    panels = [
        Panel("a", "x", "y", {"one": line, "two": line}, ("log", "log")),
        Panel("b", "x", "y", {"one": line}),
    ]
    plot(panels, tmp_path / "new" / "plot.png")
    assert (tmp_path / "new" / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_no_text_comes_twice_and_none_is_too_long(served_bundle):
    """Every text is a sentence of its own that the model reads in one piece."""
    vocabulary = load_vocabulary(served_bundle)
    limit = served_bundle.manifest.limits.max_source_length
    texts = list(itertools.islice(mixed_sentences(seed=0), 500))
    assert len({text.text for text in texts}) == 500
    assert {text.source for text in texts} == set(LONGEST)
    assert max(len(vocabulary.encode_source(t.text, t.target)) for t in texts) <= limit


def test_forced_lengths_are_forced(served_bundle):
    """Every sentence gets all its pieces, in one batch or two; speeds and shares follow."""
    vocabulary = load_vocabulary(served_bundle)
    source = tuple(vocabulary.encode_source(read_sentences()[0][0], "ko"))
    decode = our_decoder(served_bundle.path, threads=2)
    for batches in (((source,),), ((source,), (source,))):
        for beam_size in (1, 2):
            work = Work(batches, beam_size, longest=4, forced=True)
            assert {len(ids) for ids in decode(work).ids} == {4}
            assert decode(work).tokens == 4 * len(batches)
    assert speeds({"ours": decode}, work, QUICK)["ours"] > 0
    assert 0 < python_share(our_decoder(served_bundle.path), work) < 1


def _close(bundle):
    open_engine(bundle.path).close()
    open_engine.cache_clear()


def test_a_soak_ends_and_tells_memory(served_bundle):
    """Memory is looked at on the way; callers that have left hold nothing up."""
    found = soak(served_bundle.path, SAMPLED, seed=0)
    assert [each.sentences for each in found] == [SAMPLED]
    assert found[0].mib > 0
    _close(served_bundle)


def test_a_text_goes_through_the_pipeline(served_bundle):
    """A figure for each length."""
    found = by_text_length(served_bundle.path, (1, 3), rounds=1)
    assert [each.amount for each in found] == [1, 3]
    assert all(each.milliseconds > 0 for each in found)
    _close(served_bundle)


def test_clients_wait_for_every_answer():
    """Answers that arrive after the phase are counted too, and a failure is seen."""
    app, calls = FastAPI(), itertools.count()

    @app.get("/readyz")
    async def readyz() -> str:
        return "ready"

    @app.post("/v1/translate")
    async def translate(response: Response) -> dict[str, dict[str, int]]:
        response.status_code = 429 if next(calls) == 0 else 200
        return {"usage": {"target_tokens": 3}}

    with serve(app) as url:
        phase = Phase(int(url.rsplit(":", 1)[1]), clients=4, seconds=0.05, beam_size=1)
        answers = put_load(phase, mixed_sentences(seed=0))
    assert len(answers) == next(calls) >= 4
    assert sorted(answer.status for answer in answers)[-1] == 429
    assert {answer.target_tokens for answer in answers if answer.status == 200} <= {3}


def test_a_load_counts_throughput_in_time_and_latency_of_all():
    """A late answer is slow, and no part of what was done within the phase."""
    rounds = [[Answer(0.0, 0.5, 200, 10), Answer(0.5, 1.5, 200, 10)], [Answer(0.0, 0.1, 429, 0)]]
    load = load_of("ours", 1, 2, rounds, seconds=1.0)
    assert (load.sentences_per_second, load.tokens_per_second) == (0.5, 5.0)
    assert (load.p50, load.failures) == (750.0, 1)


def test_a_fleet_is_computed_from_the_report():
    """Fails when the report and its reader do not fit each other any more."""
    rates = fleet.measured(fleet.REPORT.read_text("utf-8"))
    assert rates.keys() == {"greedy", "beam 4"}
    (planned,) = fleet.plan(1000, {"greedy": 100.0}, characters=50)
    assert (planned.cores, planned.pods, planned.memory) == (15, 8, 6.0)
    assert planned.core_seconds == pytest.approx(1e6 / 50 / 70)
