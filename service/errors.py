"""Everything that can go wrong and that somebody can do something about.

Seq2ServeError
├── BundleError           a model bundle is broken (operator)
├── RequestError          the request cannot be served as it is (caller)
│   ├── UnknownModel
│   ├── UnsupportedDirection
│   ├── LimitExceeded
│   └── NoAlignment
├── Overloaded            no room now, later perhaps (caller: wait)
└── EngineFailed          decoding broke or the engine has stopped (operator)
"""

from collections.abc import Sequence


class Seq2ServeError(Exception):
    """The root; its message can be shown to whoever caused it."""


class BundleError(Seq2ServeError):
    """A bundle was refused. `faults` says everything that is wrong with it, in words."""

    def __init__(self, place: str, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"{place} is not a usable model bundle: " + "; ".join(self.faults))


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


class Overloaded(Seq2ServeError):
    """The queue is full. `retry_after` is a guess at when there will be room, in seconds."""

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(f"the server is busy; try again in about {retry_after:.0f} s")


class EngineFailed(Seq2ServeError):
    """The request was good, but decoding it failed."""
