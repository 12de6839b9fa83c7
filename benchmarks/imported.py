"""Our engine against CTranslate2 on a directory of its own, imported as users import it."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks.decoders import Decoder, Work, our_decoder
from benchmarks.engine_page import Cell, speed_table
from benchmarks.interleave import FULL, QUICK, speeds
from benchmarks.machine import heading, this_machine
from benchmarks.peers import Peer, PeerProcess
from model_export.importers.assemble import assemble
from model_export.importers.ctranslate2_model import import_ctranslate2
from model_export.importers.imported import Asked, Imported
from model_export.importers.write import PERCENTILE, Wanted, write_float32
from model_export.quantisation import quantise_bundle
from service.engine.bundle import load_bundle

SOURCE_LENGTH, STEPS = 25, 30
BATCHES, BEAMS = (1, 8, 32), (1, 4)
KINDS = ("int8", "float32")
CALIBRATION = 8
ANY = Asked(("en",), ("de",))
"""Languages have no part in speed."""


def lines(directory: Path, quick: bool) -> Iterator[str]:
    """The section in markdown: forced lengths, one thread."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        imported = import_ctranslate2(directory, ANY)
        paths = folder / "float32", folder / "int8"
        texts = write_float32(imported, assemble(imported), paths[0], Wanted("imported"))
        quantise_bundle(*paths, texts[:CALIBRATION], (), PERCENTILE, 0.0, lambda _: None)
        processes = [PeerProcess(isa) for isa in _instructions()]
        for process in processes:
            stack.callback(process.close)
        decoders: dict[str, Decoder] = {}
        for kind in KINDS:
            decoders[kind] = our_decoder(folder / kind)
            peer = Peer(directory, kind, adds_eos=imported.library_ends)
            found = [process.decoder(peer) for process in processes]
            decoders[f"CTranslate2 {kind}"] = _fastest(found, _work(imported, folder, 8, 1))
        cells = []
        for beam_size in BEAMS:
            for size in BATCHES[: 2 if quick else None]:
                work = _work(imported, folder, size, beam_size)
                found_speeds = speeds(decoders, work, QUICK if quick else FULL)
                cells.append(Cell(directory.name, beam_size, size, found_speeds))
        config = imported.config
        yield heading(this_machine(), f"python -m benchmarks engine --ctranslate2 {directory.name}")
        yield ""
        yield (
            f"`{directory.name}`: {config.encoder_layers} + {config.decoder_layers} layers, width "
            f"{config.width}, feed-forward {config.feed_forward_width}, "
            f"{config.target_vocabulary_size:,} pieces, {config.norm_placement}-norm"
        )
        yield ""
        yield from speed_table(cells)


def _instructions() -> list[str | None]:
    """What CTranslate2 takes by itself, and AVX512 where there is any."""
    return [None, "AVX512"] if "avx512f" in this_machine().instructions else [None]


def _fastest(decoders: list[Decoder], work: Work) -> Decoder:
    """CTranslate2 with the instructions that suit it best."""
    for decode in decoders:
        decode(work)
    return max(decoders, key=lambda decode: max(decode(work).speed for _ in range(3)))


def _work(imported: Imported, folder: Path, size: int, beam_size: int) -> Work:
    """Random sources of one length, and as many target pieces for each."""
    vocabulary = load_bundle(folder / "int8").manifest.vocabulary
    rng = np.random.default_rng(size)
    known = [row for row in range(4, len(imported.source.pieces)) if row != vocabulary.pad_id]
    eos = imported.source.pieces.index(imported.source.eos)
    rows = rng.choice(known, (size, SOURCE_LENGTH - 1)).tolist()
    return Work((tuple((*row, eos) for row in rows),), beam_size, STEPS, forced=True)
