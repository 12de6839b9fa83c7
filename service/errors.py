"""Everything that can go wrong and that somebody can do something about.

Seq2ServeError
├── BundleError           a model bundle is broken (operator)
├── RequestError          the request cannot be served as it is (caller)
│   ├── UnknownModel
│   ├── UnsupportedDirection
│   ├── LimitExceeded
│   ├── NoAlignment
│   ├── UnknownGlossary
│   ├── UnsupportedDocument
│   ├── UnreadableDocument
│   └── UnknownDocument
├── AccessError           the caller may not do this (caller: another key)
│   ├── MissingKey
│   ├── InvalidKey
│   └── Forbidden
├── Overloaded            no room now, later perhaps (caller: wait)
├── RateLimited           this caller asks too often (caller: wait)
├── QuotaExceeded         this caller has had what it may have (caller: ask the operator)
├── DeadlineExceeded      not ready in the time that was allowed (caller)
├── DocumentNotReady      it is being translated (caller: wait)
├── StoreFailed           the disk does not take what must be kept (operator)
└── EngineFailed          decoding broke or the engine has stopped (operator)
"""

import math
from collections.abc import Sequence


class Seq2ServeError(Exception):
    """The root; its message can be shown to whoever caused it."""


LONGEST_FAULT = 1000


class BundleError(Seq2ServeError):
    """A bundle was refused. `faults` says everything that is wrong with it, in words. Some of them
    are the bundle's own, so that they are cut, and break no line of a log."""

    def __init__(self, place: str, faults: Sequence[str]) -> None:
        self.faults = tuple(map(_one_line, faults))
        super().__init__(f"{place} is not a usable model bundle: " + "; ".join(self.faults))


def _one_line(words: str) -> str:
    return "".join(c if c.isprintable() else " " for c in words[:LONGEST_FAULT])


class RequestError(Seq2ServeError):
    """The caller can mend it. `field` is the part of the request that is at fault."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


class UnknownModel(RequestError):
    """No such model is loaded."""


class UnsupportedDirection(RequestError):
    """No loaded model translates between these languages."""


class LimitExceeded(RequestError):
    """Too much of something: texts, characters, beams."""


class NoAlignment(RequestError):
    """The model has no attention that could show what it looked at."""


class UnknownGlossary(RequestError):
    """No such glossary is stored, or it belongs to somebody else."""

    def __init__(self, message: str) -> None:
        super().__init__("glossary", message)


class UnsupportedDocument(RequestError):
    """No such kind of file is translated."""

    def __init__(self, message: str) -> None:
        super().__init__("file", message)


class UnreadableDocument(RequestError):
    """The file is not what its name says, or in another encoding than UTF-8."""

    def __init__(self, message: str) -> None:
        super().__init__("file", message)


class UnknownDocument(RequestError):
    """There is no such job: it never was, it is another caller's, or its time is over."""

    def __init__(self) -> None:
        super().__init__("id", "there is no such document, or not any more")


class AccessError(Seq2ServeError):
    """The caller may not do this. Messages never repeat a key."""


class MissingKey(AccessError):
    """A key is needed and none was given."""

    def __init__(self) -> None:
        super().__init__("an API key is needed")


class InvalidKey(AccessError):
    """There is no such key."""

    def __init__(self) -> None:
        super().__init__("the API key is not valid")


class Forbidden(AccessError):
    """The key is good, but not for this. `scope` is what it lacks."""

    def __init__(self, scope: str) -> None:
        self.scope = scope
        super().__init__(f"the API key lacks the scope {scope}")


class RateLimited(Seq2ServeError):
    """Too much within a minute for this key. `retry_after` is when it may go on, in seconds."""

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(f"too many requests; try again in {math.ceil(retry_after)} s")


class QuotaExceeded(Seq2ServeError):
    """The key has used up its characters."""

    def __init__(self) -> None:
        super().__init__("the quota of characters is used up")


class DeadlineExceeded(Seq2ServeError):
    """The answer was not ready in `seconds`; the work is dropped."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"not ready within {seconds:g} s")


class DocumentNotReady(Seq2ServeError):
    """The result is asked for before there is one."""

    def __init__(self) -> None:
        super().__init__("the document is still being translated")


class Overloaded(Seq2ServeError):
    """The queue is full. `retry_after` is a guess at when there will be room, in seconds."""

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(f"the server is busy; try again in about {retry_after:.0f} s")


class StoreFailed(Seq2ServeError):
    """What must be kept cannot be written or read: the disk is full, read-only or broken."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} cannot be stored now")


class EngineFailed(Seq2ServeError):
    """The request was good, but decoding it failed."""
