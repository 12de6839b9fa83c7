"""How much memory the state of all that runs side by side may come to, from what a bundle says."""

import math

import numpy as np

from service.engine.bundle import Manifest, StateSpec
from service.engine.scheduler import SchedulerLimits


def largest_state(manifest: Manifest, limits: SchedulerLimits) -> int:
    """Bytes that the state takes in one worker which runs as much as it may, all to the end."""
    return sum(_bytes(spec, manifest, limits) for spec in manifest.state)


def _bytes(spec: StateSpec, manifest: Manifest, limits: SchedulerLimits) -> int:
    positions = limits.batch_rows
    if "S" in spec.shape:  # one sentence is let in whatever its length
        positions = max(limits.batch_tokens, manifest.limits.max_source_length)
    if "T" in spec.shape or "M" in spec.shape:
        positions *= manifest.limits.max_target_length
    numbers = math.prod(axis for axis in spec.shape if isinstance(axis, int))
    return positions * numbers * np.dtype(spec.dtype).itemsize
