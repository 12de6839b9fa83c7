"""Opens a bundle in a process of its own first, with bounded memory and time.

A bundle can come from anywhere, and what reads it is written in C++: whatever a file does there,
crash, claim memory or never end, happens to a process that nobody needs.
"""

import json
import os
import subprocess  # nosec B404
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.errors import BundleError, Seq2ServeError

GIB: Final = 1 << 30
_PASSED_ON: Final = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "SYSTEMROOT")
"""Of the environment; the rest is none of a bundle's business."""


@dataclass(frozen=True, slots=True)
class TrialLimits:
    """What a bundle may take while it is tried out."""

    seconds: float = 120.0
    base_bytes: int = 4 * GIB
    """Address space of the process without a model; most of it is never used."""
    growth: int = 24
    """Address space for each byte of the bundle's files."""
    most_bytes: int = 64 * GIB
    """Of address space, whatever the files say: a file can be long and hold nothing."""


def try_out(path: Path, limits: TrialLimits = TrialLimits()) -> None:
    """Raises BundleError unless the bundle can be opened and decodes a sentence."""
    size = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    space = limits.base_bytes + min(limits.growth * size, limits.most_bytes)
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    paths = [str(Path(__file__).parents[2]), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    try:
        # No shell, and the arguments are ours. With -P no module comes from where we happen to
        # stand, which may be the bundle itself.
        ended = subprocess.run(  # nosec B603
            [sys.executable, "-P", "-m", __name__, str(path.absolute()), str(space)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libraries may say any amount there
            timeout=limits.seconds,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BundleError(str(path), [f"it is not open after {limits.seconds:.0f} s"]) from error
    if ended.returncode:
        raise BundleError(str(path), _faults(ended))


def _faults(ended: subprocess.CompletedProcess[bytes]) -> list[str]:
    try:
        faults = json.loads(ended.stdout.splitlines()[-1])
        return [str(fault) for fault in faults]
    except (IndexError, TypeError, ValueError):  # it could not even say so
        return [f"the process that tried it out ended with code {ended.returncode}"]


def main(path: Path, space: int) -> int:
    """In the process of its own: prints the faults and says by its exit code if there are any."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        pass
    else:
        resource.setrlimit(resource.RLIMIT_AS, (space, space))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from service.engine.engine import Engine
    from service.engine.scheduler import SchedulerLimits
    from service.metrics import Metrics

    try:
        Engine.load(path, SchedulerLimits(), Metrics(), workers=1).close()
    except BundleError as error:
        print(json.dumps(error.faults))
        return 1
    except (Seq2ServeError, MemoryError) as error:
        print(json.dumps([f"{type(error).__name__} while it was opened"]))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
