"""A server in a process of its own, as `seq2serve serve` runs it, and what it takes over time.

It does besides what its standard input says: a line `kill` ends a decoding worker as a bug would,
`fill` makes every write to a file fail as a full disk does, `free` ends that.
"""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.servers import free_port, wait_until_ready


@dataclass(frozen=True, slots=True)
class Sample:
    """What the process takes at one moment."""

    at: float
    rss_mib: float
    files: int
    threads: int


@dataclass(slots=True)
class Server:
    """A running server."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    samples: list[Sample] = field(default_factory=list)

    def tell(self, command: str) -> None:
        """Sends `kill`, `fill` or `free`."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n".encode())
        self.process.stdin.flush()

    def watch(self, ended: threading.Event) -> None:
        """Takes a sample each second."""
        while not ended.wait(1.0) and self.process.poll() is None:
            self.samples.append(sample(self.process.pid))


def sample(pid: int) -> Sample:
    """Reads /proc."""
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    files = len(os.listdir(f"/proc/{pid}/fd"))
    rss = int(status["VmRSS"].split()[0]) / 1024
    return Sample(time.monotonic(), rss, files, int(status["Threads"]))


@contextmanager
def run_server(folder: Path, settings: Mapping[str, object]) -> Iterator[Server]:
    """Starts one and waits until it is ready; at the end it gets SIGTERM and has to end well."""
    port = free_port()
    environment = {f"SEQ2SERVE_{name.upper()}": str(value) for name, value in settings.items()}
    log = folder / f"server-{port}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, "serve", "--port", str(port)],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=stream,
        )
    server, ended = Server(process, port, log), threading.Event()
    watcher = threading.Thread(target=server.watch, args=(ended,))
    try:
        wait_until_ready(process, port)
        watcher.start()
        yield server
    finally:
        ended.set()
        if watcher.is_alive():
            watcher.join()
        process.terminate()
        process.wait(120)
        if process.stdin is not None:
            process.stdin.close()


def obey() -> None:
    """The other side: reads commands while the service runs."""
    plenty = resource.getrlimit(resource.RLIMIT_FSIZE)
    for line in sys.stdin:
        command = line.strip()
        if command == "kill":
            workers = [t for t in threading.enumerate() if type(t).__name__ == "Worker"]
            if workers:
                victim = ctypes.c_ulong(workers[time.monotonic_ns() % len(workers)].ident or 0)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(victim, ctypes.py_object(SystemExit))
        elif command == "fill":
            resource.setrlimit(resource.RLIMIT_FSIZE, (1, plenty[1]))
        elif command == "free":
            resource.setrlimit(resource.RLIMIT_FSIZE, plenty)


if __name__ == "__main__":
    from service.cli import app

    # Or a full disk would end the process.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    threading.Thread(target=obey, daemon=True).start()
    app()
