"""What is found in a directory of bundles."""

import pytest

from service.lifecycle.directory import take_inventory, version_order
from tests.lifecycle.bundles import write_bundle


def test_bundles_lie_in_a_directory_of_their_name_or_of_their_version(tmp_path):
    """Both at once, sorted by name and version; what is hidden is passed over."""
    write_bundle(tmp_path / "b")
    write_bundle(tmp_path / "a/10", "a", "10")
    write_bundle(tmp_path / "a/9", "a", "9")
    write_bundle(tmp_path / ".coming", "c")
    write_bundle(tmp_path / "a/.coming", "a", "11")
    (tmp_path / "notes.txt").touch()
    inventory = take_inventory(tmp_path)
    assert list(inventory.bundles) == [("a", "9"), ("a", "10"), ("m", "1")]
    assert inventory.faults == {}
    assert inventory.find("a").manifest.version == "10"
    assert inventory.find("a", "9").path == tmp_path / "a/9"
    assert inventory.find("a", "8") is inventory.find("z") is None


def test_whatever_is_wrong_with_one_is_told_and_leaves_the_others_alone(tmp_path):
    """Not JSON, no manifest but a directory, the same name and version twice."""
    write_bundle(tmp_path / "a")
    write_bundle(tmp_path / "b")
    (tmp_path / "c").mkdir()
    (tmp_path / "c/manifest.json").write_bytes(b"\xff")
    (tmp_path / "d/manifest.json").mkdir(parents=True)
    inventory = take_inventory(tmp_path)
    assert [found.path for found in inventory.bundles.values()] == [tmp_path / "a"]
    assert set(inventory.faults) == {tmp_path / name for name in "bcd"}
    assert f"{tmp_path / 'a'} is m 1 too" in inventory.faults[tmp_path / "b"]


def test_a_directory_that_is_not_there_holds_nothing(tmp_path):
    """It may come later."""
    assert take_inventory(tmp_path / "none").bundles == {}


def test_another_file_makes_another_stamp(tmp_path):
    """So does one that was missing; reading makes none."""
    write_bundle(tmp_path / "a")

    def stamp():
        return take_inventory(tmp_path).find("m").stamp

    before = stamp()
    assert stamp() == before
    (tmp_path / "a/weights").write_bytes(b"more")
    changed = stamp()
    assert changed != before
    (tmp_path / "a/weights").unlink()
    assert stamp() not in (before, changed)


@pytest.mark.parametrize(
    ("lower", "higher"),
    [("2", "10"), ("1.9", "1.10"), ("1.0", "1.0.1"), ("a", "1"), ("2026-01-02", "2026-11-01")],
)
def test_numbers_in_versions_count_as_numbers(lower, higher):
    """As people sort them."""
    assert version_order(lower) < version_order(higher)
