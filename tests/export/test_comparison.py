"""Bundles side by side: buckets, scores, speed, and the page that shows them."""

import dataclasses
import itertools
import math
import shutil

import pytest
from typer.testing import CliRunner

from model_export.cli import app
from model_export.quality.comparison import (
    BUCKETS,
    Comparison,
    ComparisonError,
    DirectionScores,
    LengthScore,
    ModelScores,
    bucket_label,
    bucket_of,
    common_directions,
    compare_bundles,
    measure,
    pair_files,
    score_lengths,
)
from model_export.quality.comparison_page import (
    BEGIN,
    END,
    plot_lengths,
    read_page,
    table_lines,
    write_comparison,
)
from service.engine.bundle import Bundle, Direction, write_manifest
from service.translation.decoding import DecodingChoice
from tests.fakes import EchoModel, make_engine, make_manifest

EN_KO, KO_EN = Direction("en", "ko"), Direction("ko", "en")
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
PAIRS = [(" ".join(WORDS[:n]),) * 2 for n in range(1, 11)]  # what an echo gets right


class ForgetfulModel(EchoModel):
    """Remembers no more than the first pieces of its source, as a bottleneck would."""

    def distribution(self, source, said):
        """An echo of the first 24 characters."""
        return super().distribution([*source[:25], source[-1]], said)


def measured(model, name, clock=None):
    """A scripted model's scores on PAIRS, greedy, both directions."""
    engine = make_engine(model, name)
    clock = clock or itertools.count().__next__
    try:
        return measure(engine, PAIRS, (EN_KO, KO_EN), DecodingChoice("greedy"), clock)
    finally:
        engine.close()


def made_up(*names, pairs=50):
    """A comparison of models that nobody ran; the last bucket is empty."""
    labels = [bucket_label(*bucket) for bucket in BUCKETS]
    lengths = (
        *(LengthScore(label, pairs, 12.34, 56.78 - i) for i, label in enumerate(labels[:-1])),
        LengthScore(labels[-1], 0, None, None),
    )
    directions = tuple(
        DirectionScores(d, LengthScore("all", 250, 21.0, 43.21), lengths) for d in (EN_KO, KO_EN)
    )
    models = [
        ModelScores(n, "scripted", 1234567, 2_345_678, 9.87, 654.3, directions) for n in names
    ]
    return Comparison((("dev", 250),), 4, 2, tuple(models))


@pytest.mark.parametrize(
    ("words", "label"),
    [(1, "1-5"), (5, "1-5"), (6, "6-10"), (20, "16-20"), (21, "21-30"), (30, "21-30"), (31, "31+")],
)
def test_a_source_belongs_to_the_bucket_of_its_words(words, label):
    """Both ends of a bucket belong to it, and spaces count for nothing."""
    assert bucket_of("  w " * words) == label


def test_an_empty_source_has_a_bucket():
    """A pair file may hold a source of no words."""
    assert bucket_of("") == "1-5"


def test_scores_of_a_bucket_come_from_its_pairs_only():
    """Right translations of short sources and wrong ones of long sources stay apart."""
    sources = ["a b", "a b c d e f g", "x y"]
    found = score_lengths(
        EN_KO, sources, ["가나다라", "없음", "마바사아"], ["가나다라", "하하하하", "마바사아"]
    )
    first, second, *others = found.by_length
    assert (first.words, first.pairs) == ("1-5", 2)
    assert (first.bleu, first.chrf) == pytest.approx((100, 100))
    assert (second.words, second.pairs, second.chrf) == ("6-10", 1, 0)
    assert [score.pairs for score in others] == [0, 0, 0, 0]
    assert {(score.bleu, score.chrf) for score in others} == {(None, None)}
    assert found.overall.pairs == 3
    assert 0 < found.overall.chrf < 100


def test_a_model_that_forgets_is_worse_at_long_sources_only():
    """What the comparison is for, with a model whose bottleneck is known."""
    echo, forgetful = measured(EchoModel(), "echo"), measured(ForgetfulModel(), "forgetful")
    for good, bad in zip(echo.directions, forgetful.directions, strict=True):
        assert [score.chrf for score in good.by_length[:2]] == pytest.approx([100, 100])
        short, long = bad.by_length[:2]
        assert short.chrf == pytest.approx(100)
        assert long.chrf < 90
    assert [scores.direction for scores in echo.directions] == [EN_KO, KO_EN]


def test_speed_is_what_was_said_by_the_clock():
    """Texts and target pieces of both directions over the seconds that both took."""
    found = measured(EchoModel(), "echo", iter([0.0, 4.0, 10.0, 16.0]).__next__)
    characters = sum(len(text) for text, _ in PAIRS)
    assert found.texts_per_second == 2 * len(PAIRS) / 10
    assert found.target_tokens_per_second == 2 * characters / 10


def bundle(name, *directions):
    """A bundle of no files."""
    return Bundle(None, make_manifest(name, directions))


def test_only_what_all_bundles_translate_is_compared():
    """A model of one direction leaves one direction to compare."""
    both, one = bundle("both", ("en", "ko"), ("ko", "en")), bundle("one", ("en", "ko"))
    assert common_directions([both]) == (EN_KO, KO_EN)
    assert common_directions([both, one]) == (EN_KO,)


def test_bundles_that_share_no_direction_or_share_a_name_are_refused():
    """Nothing to compare, or two rows that nobody could tell apart."""
    both, other = bundle("both", ("en", "ko"), ("ko", "en")), bundle("other", ("en", "de"))
    with pytest.raises(ComparisonError, match="not every bundle translates en-ko: both, other"):
        common_directions([both, other])
    with pytest.raises(ComparisonError, match="same name: both, both"):
        common_directions([both, both])


def test_a_folder_stands_for_the_pair_files_in_it(tmp_path):
    """Plain and compressed, in order; other files are none of it."""
    for name in ("b.tsv", "a.tsv.gz", "README.md"):
        (tmp_path / name).touch()
    alone = tmp_path / "README.md"
    assert pair_files([alone, tmp_path]) == [alone, tmp_path / "a.tsv.gz", tmp_path / "b.tsv"]


def test_the_tables_hold_every_figure():
    """Sizes, speeds, overall scores, and the scores of each bucket."""
    lines = list(table_lines(made_up("first", "second")))
    assert lines[0] == "Pairs: dev (250). Decoding: beam 4."
    assert "| first | 1,234,567 | 2.3 MB | 21.0 | 43.2 | 21.0 | 43.2 | 9.9 | 654 |" in lines
    assert lines.count("| 1-5 | 50 | 12.3 | 56.8 | 12.3 | 56.8 |") == 2
    assert lines.count("| 31+ | 0 |  |  |  |  |") == 2
    assert any("2 CPU cores" in line for line in lines)
    assert any("into ko: `BLEU nrefs:1" in line for line in lines)


def test_every_row_of_a_table_has_its_columns():
    """Markdown drops cells that are too many."""
    tables = "\n".join(table_lines(made_up("first", "second", "third"))).split("\n\n")
    tables = [table.splitlines() for table in tables if table.startswith("|")]
    assert len(tables) == 3
    for table in tables:
        assert len({line.count("|") for line in table}) == 1


def test_the_prose_around_the_markers_stays(tmp_path):
    """Writing twice leaves one table, the newer one."""
    page = tmp_path / "models.md"
    page.write_text(f"# Models\n\nBefore.\n\n{BEGIN}\n{END}\n\nAfter.\n", "utf-8")
    write_comparison(made_up("older"), tmp_path / "models")
    table = write_comparison(made_up("newer"), tmp_path / "models")
    text = page.read_text("utf-8")
    assert text.startswith(f"# Models\n\nBefore.\n\n{BEGIN}\n\nPairs:")
    assert text.endswith(
        f"![chrF2++ by words of the source](models-length.png)\n\n{END}\n\nAfter.\n"
    )
    assert table in text
    assert "newer" in text
    assert "older" not in text
    assert (tmp_path / "models-length.png").read_bytes().startswith(b"\x89PNG")


def test_a_page_without_markers_is_refused(tmp_path):
    """Nothing is written over a page that has no place for a table."""
    page = tmp_path / "models.md"
    page.write_text(f"# Models\n{BEGIN}\n", "utf-8")
    with pytest.raises(ComparisonError, match=r"models\.md has no lines"):
        read_page(tmp_path / "models")
    assert page.read_text("utf-8") == f"# Models\n{BEGIN}\n"


def test_more_models_than_colours_are_all_plotted(tmp_path):
    """Colours repeat with other markers rather than leave a model out."""
    names = [f"model-{i}" for i in range(7)]
    figure = plot_lengths(made_up(*names), tmp_path / "plot.png")
    for panel in figure.axes:
        assert [line.get_label() for line in panel.lines] == names
    looks = {(line.get_color(), line.get_marker()) for line in figure.axes[0].lines}
    assert len(looks) == 7


def test_a_bucket_of_few_pairs_is_not_plotted(tmp_path):
    """Its score would be read as if it meant something."""
    heights = {
        pairs: [list(line.get_ydata()) for line in figure.axes[0].lines]
        for pairs in (19, 20)
        for figure in [plot_lengths(made_up("model", pairs=pairs), tmp_path / "plot.png")]
    }
    assert all(math.isnan(height) for line in heights[19] for height in line)
    assert heights[20][0][:2] == [56.78, 55.78]


@pytest.fixture
def two_toys(trained, tmp_path):
    """The toy bundle and a copy of it by another name."""
    copy = tmp_path / "copy"
    shutil.copytree(trained.bundle.path, copy)
    write_manifest(copy, dataclasses.replace(trained.bundle.manifest, name="copy"))
    return [trained.bundle.path, copy]


def test_the_command_compares_bundles_and_writes_the_page(trained, two_toys, tmp_path):
    """From the command line to page and plot, with real bundles; copies score alike."""
    dev, output = trained.toy.corpora / "dev.tsv", tmp_path / "docs" / "models"
    options = ["--pairs", str(dev), "--beam-size", "1", "--limit", "9", "--output", str(output)]
    arguments = ["compare", *map(str, two_toys), *options]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "Pairs: dev (9). Decoding: greedy." in result.output
    assert "| words | pairs | toy BLEU | toy chrF2++ | copy BLEU | copy chrF2++ |" in result.output
    page = output.with_name("models.md").read_text("utf-8")
    assert page.count("by words of the source:") == 2
    comparison = compare_bundles(two_toys, [dev], beam_size=1, limit=9)
    first, second = comparison.models
    assert first.directions == second.directions
    assert first.bundle_bytes > 1000 * first.directions[0].overall.pairs


def test_no_pairs_are_refused(two_toys, tmp_path):
    """An empty folder is said to be one before any bundle is opened for work."""
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ComparisonError, match="no pairs in"):
        compare_bundles(two_toys, [empty], beam_size=1)
