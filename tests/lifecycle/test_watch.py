"""The models directory is followed."""

import shutil

import pytest

from service.lifecycle.watch import DirectoryWatch
from tests.lifecycle.bundles import break_bundle, make_repository, write_bundle
from tests.lifecycle.test_repository import say


@pytest.fixture
async def watched(tmp_path):
    """A repository that serves version 1 of m, what opens bundles, and a way to look twice."""
    write_bundle(tmp_path / "m")
    repository, opener = make_repository(tmp_path)
    await repository.start()
    watch = DirectoryWatch(repository)

    async def look():
        await watch.look()
        await watch.look()

    yield repository, opener, look
    await repository.close()


async def test_nothing_happens_while_nothing_changes(watched):
    """However often it looks."""
    _, opener, look = watched
    await look()
    await look()
    assert opener.opened == ["m@1"]


async def test_a_new_bundle_is_served_once_it_is_complete(tmp_path, watched):
    """Not in the look that finds it, while it may still be copied."""
    repository, _, _ = watched
    watch = DirectoryWatch(repository)
    await watch.look()
    write_bundle(tmp_path / "n", "n")
    await watch.look()
    assert repository.served.find("n") is None
    (tmp_path / "n/weights").write_bytes(b"the rest")
    await watch.look()
    assert repository.served.find("n") is None
    await watch.look()
    assert repository.served.find("n")


async def test_changed_files_replace_what_is_served(tmp_path, watched):
    """Under the same name and version."""
    repository, _, look = watched
    write_bundle(tmp_path / "m", words="new")
    await look()
    assert await say(repository) == "new"


async def test_another_version_in_the_same_place_takes_over(tmp_path, watched):
    """The old one goes only when the new one is served."""
    repository, _, look = watched
    write_bundle(tmp_path / "m", version="2", words="broken")
    await look()
    assert await say(repository) == "1"
    write_bundle(tmp_path / "m", version="2")
    await look()
    assert (await say(repository), list(repository.served.by_name)) == ("2", ["m"])


async def test_a_higher_version_becomes_the_default(tmp_path, watched):
    """The lower one stays beside it."""
    repository, _, look = watched
    write_bundle(tmp_path / "m-2", version="2")
    await look()
    assert (await say(repository), await say(repository, "m@1")) == ("2", "1")


async def test_what_is_gone_is_retired(tmp_path, watched):
    """A manifest that cannot be read is not gone."""
    repository, _, look = watched
    (tmp_path / "m/manifest.json").write_text("{")
    await look()
    assert await say(repository) == "1"
    shutil.rmtree(tmp_path / "m")
    await look()
    assert repository.served.find("m") is None


async def test_what_failed_is_tried_again_when_it_has_changed(tmp_path, watched):
    """Not at every look."""
    repository, opener, look = watched
    break_bundle(tmp_path / "m")
    await look()
    await look()
    assert (opener.opened, len(repository.faults)) == (["m@1"], 1)
    write_bundle(tmp_path / "m", words="well")
    await look()
    assert (await say(repository), repository.faults) == ("well", ())


async def test_what_was_unloaded_by_hand_stays_out_until_it_changes(tmp_path, watched):
    """The operator knows why."""
    repository, _, look = watched
    await repository.unload("m")
    await look()
    assert repository.served.find("m") is None
    write_bundle(tmp_path / "m", words="mended")
    await look()
    assert await say(repository) == "mended"
