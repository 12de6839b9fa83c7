"""Stored glossaries: durable, bounded, each owner's own."""

import sqlite3
import threading
from datetime import UTC, datetime, timedelta

import pytest

from service.errors import LimitExceeded, StoreFailed, UnknownGlossary
from service.glossary_store import FILE, Dictionary, DictionaryInfo, GlossaryLimits, GlossaryStore

TERMS = Dictionary("en", "ko", {"station": "역", "river": "강"})


@pytest.fixture
def path(tmp_path):
    """In a directory that does not exist yet."""
    return tmp_path / "data" / FILE


@pytest.fixture
def store(path):
    """A store with small limits and a clock that moves a second a look."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    times = (start + timedelta(seconds=s) for s in range(10_000))
    store = GlossaryStore(path.parent, GlossaryLimits(3, 4, 100), lambda: next(times))
    yield store
    store.close()


def test_what_was_stored_comes_back(store):
    """Name, time, directions and terms."""
    made = store.create("", "Places", [TERMS])
    assert made.name == "Places"
    assert made.created == datetime(2026, 1, 1, tzinfo=UTC)
    assert made.dictionaries == (DictionaryInfo("en", "ko", 2),)
    assert store.get("", made.id) == made
    assert store.entries("", made.id, "en", "ko") == TERMS.entries
    assert store.entries("", made.id, "ko", "en") == {}
    assert store.dictionaries("", made.id) == (TERMS,)


def test_it_survives_a_restart(store, path):
    """Another process finds what the first one kept, even if that one was killed."""
    made = store.create("", "Places", [TERMS])
    other = GlossaryStore(path.parent)
    assert other.list("") == [made]
    assert other.entries("", made.id, "en", "ko") == TERMS.entries
    other.close()


def test_reading_makes_no_file(store, path):
    """A read-only place is good enough for a service without glossaries."""
    assert store.list("") == []
    with pytest.raises(UnknownGlossary):
        store.get("", "0" * 36)
    assert not path.parent.exists()
    made = store.create("", "first", [TERMS])
    assert store.list("") == [made]


def test_the_oldest_comes_first(store):
    """Clients that make room delete from the front."""
    made = [store.create("", name, [TERMS]) for name in "cab"]
    assert store.list("") == made


def test_terms_are_merged_and_replaced(store):
    """Merging keeps the rest, replacing does not; other directions stay as they are."""
    made = store.create("", "Places", [TERMS, Dictionary("ko", "en", {"산": "mountain"})])
    merged = store.change(
        "", made.id, dictionaries=[Dictionary("en", "ko", {"river": "하천", "sea": "바다"})]
    )
    assert [d.entry_count for d in merged.dictionaries] == [3, 1]
    assert store.entries("", made.id, "en", "ko")["river"] == "하천"
    store.replace("", made.id, Dictionary("en", "ko", {"sea": "바다"}))
    assert store.entries("", made.id, "en", "ko") == {"sea": "바다"}
    store.delete_dictionary("", made.id, "en", "ko")
    assert [d.source for d in store.get("", made.id).dictionaries] == ["ko"]
    with pytest.raises(UnknownGlossary):
        store.delete_dictionary("", made.id, "en", "ko")
    assert store.change("", made.id, "Other").name == "Other"


def test_deleting_leaves_no_terms_behind(store, path):
    """Also none that nobody could reach."""
    made = store.create("", "Places", [TERMS])
    store.delete("", made.id)
    with pytest.raises(UnknownGlossary):
        store.delete("", made.id)
    assert sqlite3.connect(path).execute("SELECT count(*) FROM entry").fetchone() == (0,)


@pytest.mark.parametrize("bad", ["", "x", "0" * 36, "\ud800", "'; DROP TABLE glossary; --"])
def test_unknown_ids_are_told(store, bad):
    """Whatever they are made of."""
    store.create("", "Places", [TERMS])
    with pytest.raises(UnknownGlossary):
        store.get("", bad)


def test_owners_do_not_see_each_other(store):
    """Not even with the id in hand."""
    made = store.create("ann", "Places", [TERMS])
    assert store.list("bob") == []
    for call in (store.get, store.delete):
        with pytest.raises(UnknownGlossary):
            call("bob", made.id)
    with pytest.raises(UnknownGlossary):
        store.entries("bob", made.id, "en", "ko")
    assert store.list("ann") == [made]


def test_what_is_too_much_changes_nothing(store):
    """Glossaries, entries and characters are bounded; a refusal keeps nothing half."""
    made = store.create("", "Places", [TERMS])
    five = {str(n): str(n) for n in range(5)}
    for change in (
        lambda: store.create("", "many", [Dictionary("en", "ko", five)]),
        lambda: store.change("", made.id, None, [Dictionary("en", "ko", {"a": "b" * 100})]),
        lambda: store.change("", made.id, "n" * 101),
        lambda: store.change("", made.id, "half", [TERMS, Dictionary("ko", "en", five)]),
    ):
        with pytest.raises(LimitExceeded):
            change()
    assert store.list("") == [made]
    for name in "bc":
        store.create("", name, [TERMS])
    with pytest.raises(LimitExceeded, match="3 glossaries"):
        store.create("", "d", [TERMS])


def test_without_a_directory_they_are_kept_in_memory():
    """As long as the store is."""
    store = GlossaryStore(None)
    assert store.list("") == []
    made = store.create("", "Places", [TERMS])
    assert store.list("") == [made]
    store.close()
    assert store.list("") == []


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    """Reading goes on."""
    (tmp_path / "file").write_text("in the way")
    store = GlossaryStore(tmp_path / "file")
    assert store.list("") == []
    with pytest.raises(StoreFailed, match="glossaries"):
        store.create("", "Places", [TERMS])


@pytest.mark.parametrize(
    ("stop", "go_on"),
    [
        ("PRAGMA max_page_count = 1", "PRAGMA max_page_count = 10000"),
        ("PRAGMA query_only = ON", "PRAGMA query_only = OFF"),
    ],
)
def test_a_disk_that_takes_nothing_leaves_what_there_is(path, stop, go_on):
    """Fails when a glossary that does not fit is stored in part, or an error of the disk is not
    told as one; what was stored can be read, and later there may be room again."""
    store = GlossaryStore(path.parent)
    first = store.create("", "first", [TERMS])
    many = Dictionary("en", "ko", {f"{number:064}": "역" for number in range(1000)})
    store._connection.execute(stop)
    with pytest.raises(StoreFailed, match="glossaries"):
        store.create("", "second", [many])
    assert store.list("") == [first]
    store._connection.execute(go_on)
    second = store.create("", "second", [many])
    assert {made.id for made in store.list("")} == {first.id, second.id}
    assert store._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store.close()


def test_a_damaged_file_is_told(path):
    """It is left as it is."""
    path.parent.mkdir()
    path.write_bytes(b"no database " * 100)
    with pytest.raises(StoreFailed):
        GlossaryStore(path.parent).list("")


def test_threads_share_a_store(path):
    """Nothing is lost or doubled."""
    store = GlossaryStore(path.parent)
    made = store.create("", "Places", [TERMS])

    def add(number: int) -> None:
        for n in range(20):
            store.change("", made.id, None, [Dictionary("en", "ko", {f"{number}-{n}": "x"})])

    threads = [threading.Thread(target=add, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.entries("", made.id, "en", "ko")) == 82
    store.close()
