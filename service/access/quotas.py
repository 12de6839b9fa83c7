"""What each key has used, in SQLite: exact however many ask at once, and after a restart.

A limit by the minute is a bucket that a minute fills: what is asked for must be in it, at most a
full bucket, and is taken out as a whole. So a request larger than the bucket waits for a full one
and keeps the next ones waiting longer; over time the limit holds. A quota counts the characters of
a calendar month in UTC. Knows keys by their names only.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from service.access.keys import Caller
from service.errors import QuotaExceeded, RateLimited, StoreFailed

logger = logging.getLogger(__name__)

FILE = "usage.sqlite3"
BUSY_SECONDS = 5.0
"""How long to wait for another process that writes."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS month (
  name TEXT NOT NULL, month TEXT NOT NULL, requests INTEGER NOT NULL, characters INTEGER NOT NULL,
  PRIMARY KEY (name, month)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bucket (
  name TEXT NOT NULL, unit TEXT NOT NULL, level REAL NOT NULL, filled REAL NOT NULL,
  PRIMARY KEY (name, unit)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a key has used in this month, and what it may; None is no limit."""

    requests: int
    characters: int
    limit: int | None


@dataclass(frozen=True, slots=True)
class Charge:
    """What was taken, so that it can be given back."""

    name: str
    month: str
    characters: int


class UsageStore:
    """Methods block for a moment and may be called from any thread and process.

    Without a directory the numbers live as long as the store. Raises StoreFailed when the disk
    does not take part.
    """

    def __init__(self, directory: Path | None, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()  # one connection, one transaction at a time
        with _failing():
            if directory is not None:
                directory.mkdir(parents=True, exist_ok=True)
            place = ":memory:" if directory is None else directory / FILE
            self._db = sqlite3.connect(
                place, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            # A killed process loses nothing that was committed; only a power cut may take the last
            # moments, and never leaves a broken file.
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)

    def charge(self, caller: Caller, characters: int) -> Charge:
        """Counts a request, or raises RateLimited or QuotaExceeded and has counted nothing."""
        limits, now = caller.limits, self._clock()
        month = month_of(now)
        with self._transaction():
            used = self._month(caller.name, month)[1]
            quota = limits.characters_per_month
            if quota is not None and used + characters > quota:
                raise QuotaExceeded
            self._take(caller.name, "requests", limits.requests_per_minute, 1, now)
            self._take(caller.name, "characters", limits.characters_per_minute, characters, now)
            self._add(caller.name, month, 1, characters)
        return Charge(caller.name, month, characters)

    def refund(self, charge: Charge) -> None:
        """Gives characters back to the month for what was not answered; the minute keeps them."""
        with self._transaction():
            self._add(charge.name, charge.month, 0, -charge.characters)

    def usage(self, caller: Caller) -> Usage:
        """What was used in this month."""
        with self._transaction():
            requests, characters = self._month(caller.name, month_of(self._clock()))
        return Usage(requests, characters, caller.limits.characters_per_month)

    def close(self) -> None:
        """Writes what is left to the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, _failing():
            self._db.execute("BEGIN IMMEDIATE")  # reading and writing as one, for all processes
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk may have rolled back already
                    self._db.execute("ROLLBACK")
                raise

    def _month(self, name: str, month: str) -> tuple[int, int]:
        query = "SELECT requests, characters FROM month WHERE name = ? AND month = ?"
        found: tuple[int, int] | None = self._db.execute(query, (name, month)).fetchone()
        return found or (0, 0)

    def _add(self, name: str, month: str, requests: int, characters: int) -> None:
        self._db.execute(
            "INSERT INTO month VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " requests = requests + excluded.requests,"
            " characters = characters + excluded.characters",
            (name, month, requests, characters),
        )

    def _take(self, name: str, unit: str, limit: int | None, amount: int, now: float) -> None:
        """Takes out of a bucket. Raises RateLimited with the time until there is enough."""
        if limit is None:
            return
        query = "SELECT level, filled FROM bucket WHERE name = ? AND unit = ?"
        level, filled = self._db.execute(query, (name, unit)).fetchone() or (limit, now)
        speed = limit / 60
        level = min(limit, level + max(0.0, now - filled) * speed)
        missing = min(amount, limit) - level
        if missing > 1e-9:  # so much is lost when seconds are added up
            raise RateLimited(missing / speed)
        self._db.execute(
            "INSERT OR REPLACE INTO bucket VALUES (?, ?, ?, ?)", (name, unit, level - amount, now)
        )


def month_of(now: float) -> str:
    """The calendar month, in UTC."""
    return time.strftime("%Y-%m", time.gmtime(now))


@contextmanager
def _failing() -> Iterator[None]:
    """SQLite's own words and the path go to the log."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        logger.error("the usage of keys cannot be stored: %s", error)
        raise StoreFailed("the usage of keys") from error
