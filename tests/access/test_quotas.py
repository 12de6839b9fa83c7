"""Quotas: exact however many ask at once, after a restart and between processes."""

import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from service.access.keys import Caller, KeyLimits, Scope
from service.access.quotas import FILE, UsageStore, month_of
from service.errors import QuotaExceeded, RateLimited, StoreFailed

MARCH = 1_772_366_400.0  # 2026-03-01 12:00 UTC


class Clock:
    """Goes on when it is told to."""

    def __init__(self, now=MARCH):
        self.now = now

    def __call__(self):
        return self.now


def caller(name="web", **limits):
    """A caller with these limits."""
    return Caller(name, frozenset({Scope.TRANSLATE}), KeyLimits(**limits))


def passed(store, who, characters=1):
    """Whether the store lets it through."""
    try:
        store.charge(who, characters)
    except (RateLimited, QuotaExceeded):
        return False
    return True


def test_a_quota_is_exact_however_many_ask_at_once(tmp_path):
    """Fails when reading and writing the count are not one transaction: two stores on one file
    stand for two processes, eight threads each for their callers."""
    who = caller(characters_per_month=100)
    stores = [UsageStore(tmp_path, Clock()) for _ in range(2)]
    start = threading.Barrier(16)

    def ask(number):
        start.wait(10)
        return sum(passed(stores[number % 2], who) for _ in range(20))

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(ask, range(16))) == 100
    assert stores[0].usage(who).characters == stores[1].usage(who).characters == 100
    for store in stores:
        store.close()


def test_a_restart_forgets_nothing(tmp_path):
    """Fails when counts are kept in memory."""
    who = caller(characters_per_month=100, requests_per_minute=3)
    for count in range(3):
        store = UsageStore(tmp_path, Clock())
        assert store.usage(who).characters == 30 * count
        assert passed(store, who, 30)
        store.close()
    store = UsageStore(tmp_path, Clock())
    with pytest.raises(RateLimited):
        store.charge(who, 1)
    store.close()


def test_a_refused_request_costs_nothing():
    """Neither of the minute nor of the month."""
    store = UsageStore(None, Clock())
    who = caller(characters_per_month=10, requests_per_minute=2, characters_per_minute=100)
    with pytest.raises(QuotaExceeded):
        store.charge(who, 11)
    assert [passed(store, who, 4) for _ in range(3)] == [True, True, False]
    assert store.usage(who).characters == 8


def test_a_minute_fills_the_bucket():
    """So much at once, then as fast as it fills; the error says when."""
    clock = Clock()
    store = UsageStore(None, clock)
    who = caller(requests_per_minute=6)
    assert [passed(store, who) for _ in range(7)] == [True] * 6 + [False]
    with pytest.raises(RateLimited) as refused:
        store.charge(who, 1)
    assert refused.value.retry_after == pytest.approx(10)
    clock.now += refused.value.retry_after
    assert [passed(store, who) for _ in range(2)] == [True, False]
    clock.now += 3600
    assert [passed(store, who) for _ in range(7)] == [True] * 6 + [False]


def test_a_request_larger_than_a_minute_waits_for_a_full_bucket():
    """It is served at all, and pays in full."""
    clock = Clock()
    store = UsageStore(None, clock)
    who = caller(characters_per_minute=60)
    assert passed(store, who, 1)
    with pytest.raises(RateLimited) as refused:
        store.charge(who, 120)
    assert refused.value.retry_after == pytest.approx(1)
    clock.now += 1
    assert passed(store, who, 120)
    with pytest.raises(RateLimited) as refused:
        store.charge(who, 1)
    assert refused.value.retry_after == pytest.approx(61)


def test_a_clock_that_is_set_back_gives_nothing():
    """And takes nothing."""
    clock = Clock()
    store = UsageStore(None, clock)
    who = caller(requests_per_minute=1)
    assert passed(store, who)
    clock.now -= 3600
    assert not passed(store, who)


def test_a_month_begins_anew():
    """In UTC."""
    clock = Clock(1_775_001_599.0)
    assert month_of(clock.now) == "2026-03"
    store = UsageStore(None, clock)
    who = caller(characters_per_month=10)
    assert [passed(store, who, 10) for _ in range(2)] == [True, False]
    clock.now += 2
    assert passed(store, who, 10)


def test_what_is_given_back_can_be_used_again():
    """In the month in which it was taken."""
    clock = Clock()
    store = UsageStore(None, clock)
    who = caller(characters_per_month=10)
    charge = store.charge(who, 10)
    store.refund(charge)
    assert store.usage(who).characters == 0
    assert passed(store, who, 10)


def test_keys_do_not_share():
    """Each has a count of its own."""
    store = UsageStore(None, Clock())
    assert passed(store, caller("a", characters_per_month=10), 10)
    assert passed(store, caller("b", characters_per_month=10), 10)


def test_a_read_only_file_is_told_of_and_not_taken_for_room(tmp_path):
    """Fails when an error of the disk is passed over: nothing passes that cannot be counted."""
    store = UsageStore(tmp_path, Clock())
    store._db.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreFailed):
        store.charge(caller(characters_per_month=10), 1)
    store._db.execute("PRAGMA query_only = OFF")
    assert passed(store, caller(characters_per_month=10), 10)


def charge_many(store):
    """More names than fit into a few pages."""
    for number in range(10_000):
        store.charge(caller(f"{number:064}"), 1)


def test_a_full_disk_leaves_the_counts_whole(tmp_path):
    """What does not fit is refused as a whole; when there is room again, counting goes on."""
    store = UsageStore(tmp_path, Clock())
    assert passed(store, caller("a" * 64), 5)
    store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreFailed):
        charge_many(store)
    assert store._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store._db.execute("PRAGMA max_page_count = 10000")
    assert passed(store, caller("new"), 5)
    assert store.usage(caller("a" * 64)).characters == 5


def test_a_directory_that_cannot_be_used_is_refused_at_the_start(tmp_path):
    """The path is in the log, not in the message."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreFailed) as refused:
        UsageStore(tmp_path / "file")
    assert "file" not in str(refused.value)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    """And is left as it is."""
    (tmp_path / FILE).write_bytes(b"not SQLite at all" * 100)
    with pytest.raises(StoreFailed):
        UsageStore(tmp_path)
    assert (tmp_path / FILE).read_bytes().startswith(b"not SQLite")


def test_the_file_is_what_it_says(tmp_path):
    """Names and numbers, no keys."""
    store = UsageStore(tmp_path, Clock())
    store.charge(caller(), 7)
    store.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        assert db.execute("SELECT * FROM month").fetchall() == [("web", "2026-03", 1, 7)]


CHARGE_FOR_EVER = """
import sys
from pathlib import Path
from service.access.keys import Caller
from service.access.quotas import UsageStore
store = UsageStore(Path(sys.argv[1]))
while True:
    store.charge(Caller("web", frozenset()), 1)
    print("charged", flush=True)
"""


def test_a_killed_process_forgets_and_breaks_nothing(tmp_path):
    """Fails when a charge is acknowledged before it is in the file: SIGKILL in the middle of
    writing loses none of them, and the file is sound."""
    command = [sys.executable, "-c", CHARGE_FOR_EVER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        for _ in range(200):
            assert process.stdout.readline() == b"charged\n"
        process.kill()
        acknowledged = 200 + len(process.stdout.read().splitlines())
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store = UsageStore(tmp_path)
    assert acknowledged <= store.usage(caller()).characters <= acknowledged + 1
    store.close()
