"""What may be wrong with a translation."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QualityWarning:
    """A sentence that is translated, but perhaps badly."""

    reason: str
    """A stable name, one of a few."""
    message: str
    """For people."""
