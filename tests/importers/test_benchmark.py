"""`benchmarks engine --ctranslate2` and the directory that it can be tried on, at toy size."""

from benchmarks.imported import lines
from benchmarks.marian_base import Shape, write_marian_base
from model_export.importers.ctranslate2_model import import_ctranslate2
from tests.importers.older import make_older_ctranslate2
from tests.importers.telling import ASKED
from tests.importers.tiny import train_pieces

TINY = Shape(layers=1, width=32, feed_forward_width=48, heads=4, pieces=128)


def test_a_directory_is_imported_and_measured(tmp_path):
    """A table with a row for each search and batch; also of a directory of an older version."""
    train_pieces(tmp_path / "pieces.spm", 1)
    folder = tmp_path / "marian"
    write_marian_base(folder, tmp_path / "pieces.spm", TINY)
    imported = import_ctranslate2(folder, ASKED)
    assert imported.config.activation == "swish"
    assert (imported.layout, imported.start) == ("pieces eos", None)
    make_older_ctranslate2(folder, 5, 4)
    told = list(lines(folder, quick=True))
    assert any("1 + 1 layers, width 32, feed-forward 48, 128 pieces" in line for line in told)
    rows = [line for line in told if line.startswith("| marian |")]
    assert [row.split(" | ")[1:3] for row in rows] == [
        [search, batch] for search in ("greedy", "beam 4") for batch in ("1", "8")
    ]
    assert all(row.count("|") == 10 for row in rows)
