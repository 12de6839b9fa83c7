"""Glossaries that callers keep here, in SQLite: created, read, changed, deleted; bounded.

Knows no HTTP and no translation. The file comes into being with the first glossary: a service that
nobody asks for one needs no place to write.
"""

import logging
import re
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from service.errors import LimitExceeded, StoreFailed, UnknownGlossary

logger = logging.getLogger(__name__)

FILE = "glossaries.sqlite3"
SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA foreign_keys = ON;
CREATE TABLE IF NOT EXISTS glossary (
  id TEXT PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, created TEXT NOT NULL,
  characters INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS entry (
  glossary TEXT NOT NULL REFERENCES glossary(id) ON DELETE CASCADE,
  source_language TEXT NOT NULL, target_language TEXT NOT NULL,
  source TEXT NOT NULL, target TEXT NOT NULL,
  PRIMARY KEY (glossary, source_language, target_language, source)
) STRICT, WITHOUT ROWID;
"""
_ID = re.compile("[0-9a-f-]{36}")
_TERMS = """SELECT source, target FROM entry
WHERE glossary = ? AND source_language = ? AND target_language = ? ORDER BY source"""
_CLEAR = "DELETE FROM entry WHERE glossary = ? AND source_language = ? AND target_language = ?"


@dataclass(frozen=True, slots=True)
class GlossaryLimits:
    """How much may be kept."""

    glossaries: int = 1000
    """Of all owners together."""
    entries: int = 10_000
    """In one glossary."""
    characters: int = 20_000_000
    """Of all names and entries together."""


@dataclass(frozen=True, slots=True)
class Dictionary:
    """The terms of one direction: source term to target term."""

    source: str
    target: str
    entries: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DictionaryInfo:
    """A dictionary without its terms."""

    source: str
    target: str
    entry_count: int


@dataclass(frozen=True, slots=True)
class StoredGlossary:
    """A glossary without its terms."""

    id: str
    name: str
    created: datetime
    dictionaries: tuple[DictionaryInfo, ...]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class GlossaryStore:
    """Thread-safe. Every call is one transaction: what it has returned is on disk.

    Without a directory glossaries live as long as the store. An owner sees only its own. Calls
    with an id raise UnknownGlossary; calls that would keep too much raise LimitExceeded and change
    nothing; all raise StoreFailed when the file is unusable.
    """

    def __init__(
        self,
        directory: Path | None,
        limits: GlossaryLimits = GlossaryLimits(),
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._path = directory / FILE if directory is not None else None
        self._limits = limits
        self._now = now
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def create(self, owner: str, name: str, dictionaries: Sequence[Dictionary]) -> StoredGlossary:
        """Keeps a new glossary; several may have one name."""
        with self._transaction(creating=True) as connection:
            glossary = str(uuid.uuid4())
            row = (glossary, owner, name, self._now().isoformat(timespec="microseconds"))
            connection.execute(
                "INSERT INTO glossary (id, owner, name, created) VALUES (?, ?, ?, ?)", row
            )
            for dictionary in dictionaries:
                _write(connection, glossary, dictionary)
            return self._checked(connection, owner, glossary)

    def list(self, owner: str) -> list[StoredGlossary]:
        """All glossaries of the owner, the oldest first."""
        with self._transaction() as connection:
            query = "SELECT id FROM glossary WHERE owner = ? ORDER BY created, id"
            rows = connection.execute(query, (owner,)).fetchall()
            return [_read(connection, owner, glossary) for (glossary,) in rows]

    def get(self, owner: str, glossary: str) -> StoredGlossary:
        """One glossary."""
        with self._transaction() as connection:
            return _read(connection, owner, glossary)

    def entries(self, owner: str, glossary: str, source: str, target: str) -> dict[str, str]:
        """The terms of one direction, sorted; none if the glossary has none for it."""
        with self._transaction() as connection:
            _read(connection, owner, glossary)
            return _entries(connection, glossary, source, target)

    def dictionaries(self, owner: str, glossary: str) -> tuple[Dictionary, ...]:
        """The terms of all directions, sorted."""
        with self._transaction() as connection:
            pairs = [(d.source, d.target) for d in _read(connection, owner, glossary).dictionaries]
            return tuple(Dictionary(*p, _entries(connection, glossary, *p)) for p in pairs)

    def change(
        self,
        owner: str,
        glossary: str,
        name: str | None = None,
        dictionaries: Sequence[Dictionary] = (),
    ) -> StoredGlossary:
        """Gives a glossary another name, if there is one, and adds terms to directions, which may
        be new ones; terms that they have are replaced."""
        with self._transaction() as connection:
            _read(connection, owner, glossary)
            if name is not None:
                _rename(connection, glossary, name)
            for dictionary in dictionaries:
                _write(connection, glossary, dictionary)
            return self._checked(connection, owner, glossary)

    def replace(self, owner: str, glossary: str, dictionary: Dictionary) -> StoredGlossary:
        """Puts a dictionary in the place of what its direction had."""
        with self._transaction() as connection:
            _read(connection, owner, glossary)
            _clear(connection, glossary, dictionary.source, dictionary.target)
            _write(connection, glossary, dictionary)
            return self._checked(connection, owner, glossary)

    def replace_all(
        self, owner: str, glossary: str, name: str, dictionaries: Sequence[Dictionary]
    ) -> StoredGlossary:
        """Gives a glossary another name and other terms in all directions."""
        with self._transaction() as connection:
            _read(connection, owner, glossary)
            connection.execute("DELETE FROM entry WHERE glossary = ?", (glossary,))
            _rename(connection, glossary, name)
            for dictionary in dictionaries:
                _write(connection, glossary, dictionary)
            return self._checked(connection, owner, glossary)

    def delete(self, owner: str, glossary: str) -> None:
        """Deletes a glossary with all its terms."""
        with self._transaction() as connection:
            _read(connection, owner, glossary)
            connection.execute("DELETE FROM glossary WHERE id = ?", (glossary,))

    def delete_dictionary(self, owner: str, glossary: str, source: str, target: str) -> None:
        """Deletes one direction; UnknownGlossary if it has no terms."""
        with self._transaction() as connection:
            _read(connection, owner, glossary)
            if not _clear(connection, glossary, source, target):
                raise UnknownGlossary(f"the glossary has no terms from {source} into {target}")

    def close(self) -> None:
        """Closes the file; the next call would open it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    @contextmanager
    def _transaction(self, creating: bool = False) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock, self._opened(creating) as connection, connection:
                yield connection
        except (sqlite3.Error, OSError) as error:
            logger.error("glossaries cannot be stored: %s", error)
            raise StoreFailed("glossaries") from error

    @contextmanager
    def _opened(self, creating: bool) -> Iterator[sqlite3.Connection]:
        path = self._path
        if self._connection is None and not creating and not (path and path.exists()):
            with closing(_connect(":memory:")) as empty:
                yield empty
            return
        if self._connection is None and path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        if self._connection is None:
            self._connection = _connect(path or ":memory:")
        yield self._connection

    def _checked(self, connection: sqlite3.Connection, owner: str, glossary: str) -> StoredGlossary:
        """The glossary as it has become, unless something is too much now."""
        limits = self._limits
        stored = _read(connection, owner, glossary)
        connection.execute(
            "UPDATE glossary SET characters = length(name) + (SELECT"
            " coalesce(sum(length(source) + length(target)), 0) FROM entry WHERE glossary = id)"
            " WHERE id = ?",
            (glossary,),
        )
        total = "SELECT count(*), sum(characters) FROM glossary"
        glossaries, characters = connection.execute(total).fetchone()
        for count, limit, what in (
            (glossaries, limits.glossaries, "glossaries"),
            (sum(d.entry_count for d in stored.dictionaries), limits.entries, "entries in one"),
            (characters, limits.characters, "characters in all glossaries"),
        ):
            if count > limit:
                raise LimitExceeded("glossary", f"at most {limit} {what} are kept")
        return stored


def _connect(path: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False)
    connection.executescript(SCHEMA)
    return connection


def _read(connection: sqlite3.Connection, owner: str, glossary: str) -> StoredGlossary:
    row = None
    if _ID.fullmatch(glossary):
        query = "SELECT name, created FROM glossary WHERE id = ? AND owner = ?"
        row = connection.execute(query, (glossary, owner)).fetchone()
    if row is None:
        raise UnknownGlossary("there is no such glossary")
    pairs = connection.execute(
        "SELECT source_language, target_language, count(*) FROM entry WHERE glossary = ?"
        " GROUP BY source_language, target_language",
        (glossary,),
    )
    dictionaries = tuple(DictionaryInfo(*pair) for pair in pairs)
    return StoredGlossary(glossary, row[0], datetime.fromisoformat(row[1]), dictionaries)


def _entries(
    connection: sqlite3.Connection, glossary: str, source: str, target: str
) -> dict[str, str]:
    return dict(connection.execute(_TERMS, (glossary, source, target)).fetchall())


def _rename(connection: sqlite3.Connection, glossary: str, name: str) -> None:
    connection.execute("UPDATE glossary SET name = ? WHERE id = ?", (name, glossary))


def _write(connection: sqlite3.Connection, glossary: str, dictionary: Dictionary) -> None:
    pair = (glossary, dictionary.source, dictionary.target)
    connection.executemany(
        "INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?)",
        [(*pair, source, target) for source, target in dictionary.entries.items()],
    )


def _clear(connection: sqlite3.Connection, glossary: str, source: str, target: str) -> int:
    """How many terms there were."""
    return connection.execute(_CLEAR, (glossary, source, target)).rowcount
