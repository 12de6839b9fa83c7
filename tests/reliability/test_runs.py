"""The runs of `make overload`, `chaos` and `soak`, for seconds: no answer is wrong or lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="the runs read /proc")
@pytest.mark.parametrize("run", ["overload", "chaos", "soak"])
def test_nothing_is_wrong_or_lost(run):
    """Fails when admission, supervision or what looks after a client that has left is removed; the
    table says what was counted."""
    command = [sys.executable, "-m", "benchmarks.reliability", run, "--quick"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "| wrong | 0 |" in ended.stdout
    assert "| lost | 0 |" in ended.stdout
