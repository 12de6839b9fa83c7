"""API keys: how a file names them, and who a key belongs to. The file holds hashes only.

A key is 256 random bits, so a plain SHA-256 of it cannot be guessed back; a slow hash would only
slow every request down. Knows no HTTP and nothing of what a caller has used.
"""

import hashlib
import hmac
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path

from service.errors import Seq2ServeError

logger = logging.getLogger(__name__)

PREFIX = "s2s_"
"""Makes a key that was committed or pasted somewhere easy to search for."""
RELOAD_SECONDS = 1.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HASH = re.compile(r"sha256:([0-9a-f]{64})")


class Scope(StrEnum):
    """What a key may do. `admin` changes what the server has loaded, and is no `translate`."""

    TRANSLATE = "translate"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """How much may be asked for with a key; None is as much as one likes."""

    requests_per_minute: int | None = None
    characters_per_minute: int | None = None
    characters_per_month: int | None = None

    @property
    def any(self) -> bool:
        """Whether there is any limit."""
        return self != KeyLimits()


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose key it was: the name is for counting and for the log, the key itself is not kept."""

    name: str
    scopes: frozenset[Scope]
    limits: KeyLimits = KeyLimits()


ANYBODY = Caller("", frozenset({Scope.TRANSLATE}))
"""Every caller of a server that asks for no keys."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A line of the file."""

    digest: bytes
    caller: Caller


class KeyFileError(Seq2ServeError):
    """A file of keys was refused. `faults` says everything that is wrong with it, in words."""

    def __init__(self, place: str, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"{place} is no usable file of keys: " + "; ".join(self.faults))


class KeyFile:
    """The keys of a file, read again when it changes. All methods may be called from any thread.

    Raises KeyFileError when the file cannot be used at the start. Later a file that cannot be used
    is logged and changes nothing: a slip of the editor lets nobody in and locks nobody out.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._looked = clock()
        self._mark = _mark(path)
        self._keys = read_keys(path)

    def find(self, secret: str) -> Caller | None:
        """Whose key this is. How long that takes tells nothing of the key."""
        self._refresh()
        digest = _digest(secret)
        found = None
        for key in self._keys:  # all of them, whichever it is
            if hmac.compare_digest(key.digest, digest):
                found = key.caller
        return found

    @property
    def has_admin(self) -> bool:
        """Whether anybody may administer at all."""
        self._refresh()
        return any(Scope.ADMIN in key.caller.scopes for key in self._keys)

    def _refresh(self) -> None:
        now = self._clock()
        if now - self._looked < RELOAD_SECONDS:
            return
        self._looked = now
        mark = _mark(self._path)
        if mark == self._mark:
            return
        self._mark = mark
        try:
            self._keys = read_keys(self._path)
        except KeyFileError as error:
            logger.error("the keys stay as they were: %s", error)
        else:
            logger.info("%d keys read again", len(self._keys))


def new_key(
    name: str, scopes: Sequence[Scope] = (Scope.TRANSLATE,), limits: KeyLimits = KeyLimits()
) -> tuple[str, str]:
    """A new key, and its line for the file. Raises ValueError for a name that cannot be there."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for a key: letters, digits, '.', '_' and '-'")
    secret = PREFIX + secrets.token_urlsafe(32)
    words = [name, ",".join(scopes), f"sha256:{_digest(secret).hex()}"]
    words += [
        f"{each.name}={value}"
        for each in fields(limits)
        if (value := getattr(limits, each.name)) is not None
    ]
    return secret, " ".join(words)


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """Reads a file of keys. Raises KeyFileError with all faults at once."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise KeyFileError(str(path), [str(reason)]) from error
    keys: list[ApiKey] = []
    faults: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            keys.append(_parse(line.split()))
        except ValueError as error:
            faults.append(f"line {number}: {error}")
    faults += _repeated("name", [key.caller.name for key in keys])
    faults += _repeated("hash of", [key.digest.hex()[:8] for key in keys])
    if faults:
        raise KeyFileError(str(path), faults)
    return tuple(keys)


def _parse(words: Sequence[str]) -> ApiKey:
    """`name scopes sha256:hash limit=number...`. Never repeats a word that could be a key."""
    if len(words) < 3:
        raise ValueError("needs a name, scopes and a hash")
    name, scopes, hashed, *limits = words
    if not _NAME.fullmatch(name):
        raise ValueError("the name is not of letters, digits, '.', '_' and '-'")
    if not {*scopes.split(",")} <= {*Scope}:
        raise ValueError(f"unknown scope; there are {', '.join(Scope)}")
    if not (match := _HASH.fullmatch(hashed)):
        raise ValueError("the hash is not sha256: and 64 hexadecimal digits")
    caller = Caller(name, frozenset(map(Scope, scopes.split(","))), _limits(limits))
    return ApiKey(bytes.fromhex(match[1]), caller)


def _limits(words: Sequence[str]) -> KeyLimits:
    known = [each.name for each in fields(KeyLimits)]
    given: dict[str, int] = {}
    for word in words:
        name, _, number = word.partition("=")
        if name not in known:
            raise ValueError(f"unknown limit; there are {', '.join(known)}")
        if not (number.isascii() and number.isdigit() and 0 < int(number[:18]) == int(number)):
            raise ValueError(f"{name} is not a whole number above 0")
        given[name] = int(number)
    return KeyLimits(**given)


def _repeated(what: str, values: Sequence[str]) -> Iterator[str]:
    for value in sorted({value for value in values if values.count(value) > 1}):
        yield f"{what} {value} is there twice"


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _mark(path: Path) -> tuple[int, int, int] | None:
    """What changes when the file is changed or replaced; a Secret's links are followed."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
