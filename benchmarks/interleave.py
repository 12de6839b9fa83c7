"""Speeds of several decoders on the same work; rounds take turns, so that noise hits all alike."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.decoders import Decoder, Work


@dataclass(frozen=True, slots=True)
class Rounds:
    """How often everything is measured."""

    least: int
    most: int
    seconds: float
    """After so long no further round begins."""


FULL, QUICK = Rounds(2, 7, 3.0), Rounds(1, 1, 0.0)


def speeds(decoders: Mapping[str, Decoder], work: Work, rounds: Rounds) -> dict[str, float]:
    """Median tokens a second by name."""
    found: dict[str, list[float]] = {name: [] for name in decoders}
    started = time.perf_counter()
    for done in range(rounds.most):
        if done >= rounds.least and time.perf_counter() - started > rounds.seconds:
            break
        for name, decode in decoders.items():
            found[name].append(decode(work).speed)
    return {name: statistics.median(each) for name, each in found.items()}
