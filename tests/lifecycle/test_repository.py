"""Loading, replacing, parking and unloading models at run time."""

import asyncio
import gc
import threading
import weakref

import pytest

from service.errors import BundleError, EngineFailed, UnknownModel
from service.lifecycle.memory import LOADED_BYTES
from service.translation.request import TranslationRequest
from service.translation.translator import Translator
from tests.lifecycle.bundles import BYTES, break_bundle, make_repository, write_bundle

ONE = round(BYTES * LOADED_BYTES)
"""Memory of one bundle by estimate."""


async def say(repository, model=None) -> str:
    """What the model answers."""
    request = TranslationRequest(("x",), "en", "ko", model)
    result = await Translator(repository.served).translate(request)
    return result.translations[0].hypotheses[0].text


def value(repository, name, **labels):
    """Of a sample."""
    return repository.metrics.registry.get_sample_value(f"seq2serve_{name}", labels)


@pytest.fixture
async def started(tmp_path):
    """Starts repositories over the test's directory, and closes them."""
    repositories = []

    async def start(**settings):
        repository, opener = make_repository(tmp_path, **settings)
        repositories.append(repository)
        await repository.start()
        return repository, opener

    yield start
    for repository in repositories:
        await repository.close()


async def test_the_preferred_model_is_loaded_first(tmp_path, started):
    """Then the others by name; the first that serves a direction is its default."""
    for name in "abc":
        write_bundle(tmp_path / name, name, words=name)
    repository, opener = await started(preferred="b")
    assert opener.opened == ["b@1", "a@1", "c@1"]
    assert list(repository.served.by_name) == ["b", "a", "c"]
    assert await say(repository) == "b"


async def test_it_is_started_with_the_first_model_that_is_warm(tmp_path):
    """Who asks for another one before it is loaded waits for it."""
    second = threading.Event()
    for name in "ab":
        write_bundle(tmp_path / name, name, words=name)

    def wait_for_second(manifest):
        if manifest.name == "b":
            second.wait(20)

    repository, opener = make_repository(tmp_path, before=wait_for_second)
    starting = asyncio.create_task(repository.start())
    while not repository.started:
        await asyncio.sleep(0.001)
    early = asyncio.create_task(say(repository, "b"))
    assert await say(repository) == "a"
    assert not early.done()
    second.set()
    await starting
    assert await early == "b"
    assert opener.opened == ["a@1", "b@1"]
    await repository.close()


@pytest.mark.parametrize("words", ["broken", "absurd"])
async def test_a_bundle_that_cannot_be_opened_concerns_nobody_else(tmp_path, started, words):
    """Whatever it raises; it is told, and the others are served."""
    write_bundle(tmp_path / "a", "a", words=words)
    write_bundle(tmp_path / "b", "b")
    repository, _ = await started(preferred="a")
    assert list(repository.served.by_name) == ["b"]
    assert str(tmp_path / "a") in repository.faults[0]
    assert value(repository, "model_loads_total", result="failed") == 1


async def test_versions_stand_side_by_side(tmp_path, started):
    """The highest is the default one; the other is asked for by name and version."""
    write_bundle(tmp_path / "m/1")
    write_bundle(tmp_path / "m/2", version="2")
    repository, _ = await started()
    assert await say(repository) == await say(repository, "m") == "2"
    assert [await say(repository, f"m@{version}") for version in "12"] == ["1", "2"]
    assert list(repository.served.by_name) == ["m", "m@1"]
    for version in "12":
        assert value(repository, "model_info", model="m", version=version, precision="float32")


async def test_an_operator_chooses_the_default(tmp_path, started):
    """Back to the old version, and a new one beside it for those who ask for it."""
    write_bundle(tmp_path / "m/1")
    write_bundle(tmp_path / "m/2", version="2")
    repository, _ = await started()
    await repository.load("m", "1")
    assert await say(repository) == "1"
    write_bundle(tmp_path / "m/3", version="3")
    await repository.load("m", "3", default=False)
    assert (await say(repository), await say(repository, "m@3")) == ("1", "3")
    await repository.load("m")
    assert await say(repository) == "3"


async def test_a_new_version_does_not_become_the_default_by_the_way(tmp_path, started):
    """Not even for a moment, if it is not to be."""
    write_bundle(tmp_path / "m/1")
    repository, _ = await started()
    write_bundle(tmp_path / "m/2", version="2")
    loading = asyncio.create_task(repository.load("m", "2", default=False))
    while not loading.done():
        assert repository.served.find("m").manifest.version == "1"
        await asyncio.sleep(0)


async def test_loading_again_changes_nothing_unless_the_files_have(tmp_path, started):
    """Or it is asked for."""
    path = write_bundle(tmp_path / "m")
    repository, opener = await started()
    await repository.load("m")
    assert opener.opened == ["m@1"]
    write_bundle(path, words="new")
    await repository.load("m")
    assert (opener.opened, await say(repository)) == (["m@1"] * 2, "new")
    await repository.load("m", again=True)
    assert opener.opened == ["m@1"] * 3


async def test_a_failed_load_leaves_the_old_one_serving(tmp_path, started):
    """The operator is told; the next attempt may be better."""
    path = write_bundle(tmp_path / "m", words="old")
    repository, _ = await started()
    break_bundle(path)
    with pytest.raises(BundleError, match="it is broken"):
        await repository.load("m", again=True)
    assert await say(repository) == "old"
    write_bundle(path, words="new")
    await repository.load("m")
    assert (await say(repository), repository.faults) == ("new", ())


async def test_what_is_not_there_cannot_be_loaded_or_unloaded(tmp_path, started):
    """The message lists what is."""
    write_bundle(tmp_path / "m")
    repository, _ = await started()
    with pytest.raises(UnknownModel, match="'m@2'; bundles: m@1"):
        await repository.load("m", "2")
    with pytest.raises(UnknownModel, match="'x'"):
        await repository.unload("x")


async def test_a_request_ends_with_the_engine_that_it_began_with(tmp_path, started):
    """The engine that is replaced is closed after it, not before."""
    path = write_bundle(tmp_path / "m", words="old")
    repository, opener = await started()
    with repository.served.hold() as holding:
        engine = await holding.take(repository.served.find("m"))
        write_bundle(path, words="new")
        await repository.load("m")
        assert await say(repository) == "new"
        await repository.settle()
        assert engine is opener.engines[0]
        assert engine.healthy
    await repository.settle()
    assert not engine.healthy
    assert value(repository, "model_unloads_total", reason="replaced") == 1


async def test_who_leaves_while_a_model_is_loaded_for_them_stops_nothing(tmp_path, started):
    """It is loaded for the next one."""
    reached, go_on = threading.Event(), threading.Event()

    def before(manifest):
        if manifest.version == "2":
            reached.set()
            go_on.wait(20)

    write_bundle(tmp_path / "m")
    repository, _ = await started(before=before)
    write_bundle(tmp_path / "m2", version="2")
    loading = asyncio.create_task(repository.load("m", "2"))
    assert await asyncio.to_thread(reached.wait, 20)
    loading.cancel()
    go_on.set()
    await repository.settle()
    assert repository.served.get(("m", "2")).loaded


async def test_unloaded_is_gone_with_its_series(tmp_path, started):
    """One version, or all; the files may be loaded again."""
    write_bundle(tmp_path / "m/1")
    write_bundle(tmp_path / "m/2", version="2")
    repository, _ = await started()
    await repository.unload("m", "2")
    assert await say(repository) == "1"
    await repository.unload("m")
    with pytest.raises(UnknownModel):
        await say(repository, "m")
    await repository.settle()
    scraped = repository.metrics.registry.collect()
    assert not [s for family in scraped for s in family.samples if s.labels.get("model") == "m"]
    await repository.load("m", "1")
    assert await say(repository) == "1"


async def test_who_was_asked_for_longest_ago_makes_room(tmp_path, started):
    """And is loaded again when it is asked for."""
    for name in "abc":
        write_bundle(tmp_path / name, name, words=name)
    repository, opener = await started(memory_bytes=2 * ONE)
    models = repository.served.by_name
    assert [model.loaded for model in models.values()] == [True, True, False]
    assert opener.opened == ["a@1", "b@1"]
    await say(repository, "b")
    await say(repository, "a")
    assert await say(repository, "c") == "c"
    assert [model.loaded for model in models.values()] == [True, False, True]
    assert await say(repository, "b") == "b"
    assert [model.loaded for model in models.values()] == [False, True, True]
    assert value(repository, "model_unloads_total", reason="room") == 2


async def test_many_who_ask_for_a_parked_model_load_it_once(tmp_path, started):
    """All are answered."""
    for name in "ab":
        write_bundle(tmp_path / name, name, words=name)
    repository, opener = await started(memory_bytes=ONE)
    answers = await asyncio.gather(*(say(repository, "b") for _ in range(20)))
    assert (answers, opener.opened) == (["b"] * 20, ["a@1", "b@1"])


async def test_two_models_that_have_no_room_side_by_side_answer_all_the_same(tmp_path, started):
    """By turns, and nobody waits for ever."""
    for name in "ab":
        write_bundle(tmp_path / name, name, words=name)
    repository, _ = await started(memory_bytes=ONE)
    answers = await asyncio.gather(*(say(repository, name) for name in "abababab"))
    assert answers == list("abababab")


async def test_a_bundle_that_is_larger_than_the_memory_is_refused(tmp_path, started):
    """In words; nobody makes room for it in vain."""
    write_bundle(tmp_path / "a", "a")
    repository, _ = await started(memory_bytes=ONE)
    write_bundle(tmp_path / "b", "b", size=2 * BYTES)
    with pytest.raises(BundleError, match=f"memory_bytes allows {ONE}"):
        await repository.load("b")
    assert repository.served.find("a").loaded


async def test_a_parked_model_that_is_broken_by_now_fails_its_requests(tmp_path, started):
    """And is then not served any more."""
    for name in "ab":
        write_bundle(tmp_path / name, name)
    repository, _ = await started(memory_bytes=ONE)
    break_bundle(tmp_path / "b")
    with pytest.raises(EngineFailed, match="b cannot be loaded"):
        await say(repository, "b")
    with pytest.raises(UnknownModel):
        await say(repository, "b")
    assert await say(repository, "a") == "1"


async def test_nothing_holds_an_engine_that_was_replaced(tmp_path, started):
    """Neither metrics nor tasks nor threads; its memory is free."""
    path = write_bundle(tmp_path / "m")
    repository, opener = await started()
    threads = threading.active_count()
    seen = [weakref.ref(opener.engines.pop())]
    for number in range(5):
        write_bundle(path, words=str(number))
        await repository.load("m", again=True)
        await say(repository)
        seen.append(weakref.ref(opener.engines.pop()))
    await repository.settle()
    gc.collect()
    assert [engine() is None for engine in seen] == [True] * 5 + [False]
    assert threading.active_count() <= threads + 2  # those of asyncio come and stay


@pytest.mark.parametrize("parked", [False, True])
async def test_what_is_unloaded_while_it_is_being_opened_stays_out(tmp_path, started, parked):
    """Fails when an engine is given to a model that is not served any more, where nobody would find
    and close it, or when the model comes back by itself."""
    reached, go_on = threading.Event(), threading.Event()
    go_on.set()

    def before(manifest):
        if manifest.name == "b":
            reached.set()
            go_on.wait(20)

    for name in "ab":
        write_bundle(tmp_path / name, name)
    repository, opener = await started(before=before, memory_bytes=ONE if parked else 0)
    reached.clear()
    go_on.clear()
    opening = asyncio.create_task(
        say(repository, "b") if parked else repository.load("b", again=True)
    )
    assert await asyncio.to_thread(reached.wait, 20)
    waiting = asyncio.create_task(say(repository, "b")) if parked else None
    await asyncio.sleep(0)
    await repository.unload("b")
    go_on.set()
    done = await asyncio.gather(
        *(task for task in (opening, waiting) if task), return_exceptions=True
    )
    assert {type(each) for each in done} == {EngineFailed if parked else BundleError}
    await repository.settle()
    assert repository.served.find("b") is None
    assert not [
        engine for engine in opener.engines if engine.manifest.name == "b" and engine.healthy
    ]
    assert value(repository, "model_info", model="b", version="1", precision="float32") is None
