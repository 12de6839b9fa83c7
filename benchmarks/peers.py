"""CTranslate2 in a process of its own: it reads which instructions to use as it is imported.

`AVX512` has to be asked for; what it takes by itself depends on the processor.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from benchmarks.decoders import Timing, Work, timing

ISA = "CT2_FORCE_CPU_ISA"
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Peer:
    """A CTranslate2 model and its threads."""

    path: Path
    compute_type: str
    inter_threads: int = 1
    """Batches side by side."""
    intra_threads: int = 1
    """Threads for one batch."""
    adds_eos: bool = False
    """Whether it puts eos behind a source by itself."""


def default_isa(path: Path) -> str:
    """The instructions that CTranslate2 takes by itself for a model, in its own words."""
    environment = {**os.environ, "CT2_VERBOSE": "1"}
    environment.pop(ISA, None)
    opens = f"import ctranslate2; ctranslate2.Translator({str(path)!r})"
    command = [sys.executable, "-c", opens]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = re.search(r"Selected ISA: (\w+)", said.stderr + said.stdout)
    return found[1] if found else "unknown"


class PeerProcess:
    """Runs functions in another process, which has some instructions forced, or none.

    Between its turns it is stopped: threads of OpenMP go on spinning after their work, and would
    take the cores from whoever is measured next.
    """

    def __init__(self, isa: str | None) -> None:
        self.isa = isa
        self._pool = ProcessPoolExecutor(1, get_context("spawn"))
        with environment(ISA, isa):  # the process starts now, and inherits
            self._pid = self._pool.submit(os.getpid).result()

    def run(self, function: Callable[..., Found], *arguments: object) -> Found:
        """Waits for the answer."""
        os.kill(self._pid, signal.SIGCONT)
        try:
            return self._pool.submit(function, *arguments).result()
        finally:
            os.kill(self._pid, signal.SIGSTOP)

    def decoder(self, peer: Peer) -> Callable[[Work], Timing]:
        """Decodes over there; only the decoding is timed."""
        return lambda work: self.run(decode, peer, work)

    def close(self) -> None:
        """Ends the process."""
        os.kill(self._pid, signal.SIGCONT)
        self._pool.shutdown()


@contextmanager
def environment(name: str, value: str | None) -> Iterator[None]:
    """Sets or unsets a variable for a while."""
    before = os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


def decode(peer: Peer, work: Work) -> Timing:
    """Runs in the peer's process. One batch after the other unless inter_threads says more."""
    translator, pieces, ids = _open(peer)
    cut = -1 if peer.adds_eos else None
    batches = [[[pieces[i] for i in source[:cut]] for source in batch] for batch in work.batches]
    started = time.perf_counter()
    waiting = [
        answer
        for batch in batches
        for answer in translator.translate_batch(
            batch,
            beam_size=work.beam_size,
            max_decoding_length=work.longest,
            min_decoding_length=work.longest if work.forced else 1,
            asynchronous=True,
        )
    ]
    found = [answer.result().hypotheses[0] for answer in waiting]
    seconds = time.perf_counter() - started
    return timing(work, seconds, [[ids[piece] for piece in each] for each in found])


@cache
def _open(peer: Peer):  # type: ignore[no-untyped-def]
    import ctranslate2

    translator = ctranslate2.Translator(
        str(peer.path),
        compute_type=peer.compute_type,
        inter_threads=peer.inter_threads,
        intra_threads=peer.intra_threads,
    )
    source, target = (_pieces(peer.path, side) for side in ("source", "target"))
    return translator, source, {piece: i for i, piece in enumerate(target)}


def _pieces(folder: Path, side: str) -> list[str]:
    """The vocabulary of a side, or that of both; older directories have a piece a line."""
    for name in ("shared_vocabulary", f"{side}_vocabulary"):
        listed, plain = folder / f"{name}.json", folder / f"{name}.txt"
        if listed.is_file():
            pieces: list[str] = json.loads(listed.read_text("utf-8"))
            return pieces
        if plain.is_file():
            return plain.read_text("utf-8").removesuffix("\n").split("\n")
    raise FileNotFoundError(f"{folder} has no {side}_vocabulary")
