"""`python -m benchmarks.reliability overload | chaos | soak`: runs one and prints its table.

Exit code 1 if a promise was not kept. `--quick` takes seconds.
"""

import argparse
import datetime
import sys
from pathlib import Path

from benchmarks.reliability import chaos, overload, soak
from benchmarks.reliability.report import Report

RUNS = {"overload": overload.run, "chaos": chaos.run, "soak": soak.run}


def main() -> int:
    """Runs what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", choices=RUNS)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes")
    given = parser.parse_args()
    report: Report = RUNS[given.run](given.models, given.quick)
    print(f"{given.run}, {datetime.datetime.now(datetime.UTC):%Y-%m-%d}")
    print(report.table())
    for broken in report.broken:
        print(f"broken: {broken}", file=sys.stderr)
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
