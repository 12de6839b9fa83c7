"""`python -m tests.fuzz TARGET SECONDS`: looks for input that breaks a promise, led by what the
code does with it. Ends with an error and the input, if there is one."""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["service"]):
    from tests.fuzz.targets import SEEDS, TARGETS, Requests


def main() -> None:
    """Runs one target."""
    name, seconds = sys.argv[1:]
    target = Requests() if name == "requests" else TARGETS[name]
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(SEEDS):
            (Path(folder) / str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], folder, f"-max_total_time={seconds}", "-timeout=20"], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
