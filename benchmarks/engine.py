"""Our engine against CTranslate2 on the same weights, and PyTorch for scale.

Forced lengths compare the price of a step: every sentence has the same source length and gets the
same number of pieces. Natural lengths are real sentences to their end.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from benchmarks import engine_page
from benchmarks.ctranslate2_model import convert, read_weights
from benchmarks.decoders import Decoder, SearchDecoder, Work, our_decoder, python_share
from benchmarks.engine_page import Agreement, Cell, Report
from benchmarks.interleave import FULL, QUICK, Rounds, speeds
from benchmarks.machine import this_machine
from benchmarks.peers import Peer, PeerProcess, default_isa
from benchmarks.plan import Plan
from benchmarks.sentences import read_sentences
from benchmarks.shapes import Measured, describe, shipped, standard
from model_export.torch_model import TorchModel
from service.engine.bundle import load_bundle
from service.engine.vocabulary import Vocabulary, load_vocabulary
from service.settings import available_cores

SOURCE_LENGTH, STEPS, LONGEST = 25, 30, 60
TYPES = ("int8", "float32")
CALIBRATION = 16


@dataclass(frozen=True, slots=True)
class Scope:
    """How much is measured."""

    decoder_layers: tuple[int, ...]
    """Of the standard shapes."""
    batches: tuple[int, ...]
    beams: tuple[int, ...]
    rounds: Rounds
    agreement: int
    """Sentences whose tokens are compared."""

    @classmethod
    def of(cls, quick: bool) -> "Scope":
        """A quick run leaves the larger shape and the larger batches out."""
        if quick:
            return cls((2,), (1, 8), (1, 4), QUICK, 16)
        return cls((2, 6), (1, 8, 32, 64), (1, 4), FULL, 128)


class Bench:
    """The models, opened in both engines; measures one table after the other."""

    def __init__(self, models: list[Measured], folder: Path, scope: Scope, stack: ExitStack):
        self.models, self.scope = models, scope
        self.cores = available_cores()
        self.vocabularies = {m.name: load_vocabulary(load_bundle(m.int8)) for m in models}
        self.converted = {m.name: folder / f"{m.name}-ctranslate2" for m in models}
        for m in models:
            convert(
                read_weights(m.float32),
                m.architecture,
                _pieces(self.vocabularies[m.name]),
                self.converted[m.name],
            )
        self.default_isa = default_isa(self.converted[models[0].name])
        isas = [None, *_forced_isas(self.default_isa)]
        self.processes = [PeerProcess(isa) for isa in isas]
        for process in self.processes:
            stack.callback(process.close)
        self.best = self.processes[0]
        self.bar = stack.enter_context(tqdm(desc="engine", total=self.figures, unit="figure"))

    @property
    def figures(self) -> int:
        """Cells of all tables."""
        some, batches = len(self.models[:2]), len(self.scope.batches)
        forced = len(self.models) * len(self.scope.beams) * batches * (1 + (self.cores > 1))
        natural = len(self.scope.beams) * batches
        few = some * len(self.scope.batches[:3])
        return forced + natural + few * (2 + len(self.scope.beams)) + len(self.models)

    def instruction_sets(self) -> list[Cell]:
        """CTranslate2 with each; the faster is what we are compared with from then on."""
        cells = []
        for m in self.models[:2]:
            decoders = {
                f"{self.isa(process)} {kind}": process.decoder(self.peer(m, kind))
                for process in self.processes
                for kind in TYPES
            }
            self.warm_up(m, decoders)
            works = [self.forced(m, size, 1) for size in self.scope.batches[:3]]
            cells += [self.cell(m, decoders, work) for work in works]
        self.best = max(self.processes, key=lambda p: engine_page.overall(cells, self.isa(p)))
        return cells

    def forced_lengths(self, threads: int) -> list[Cell]:
        """Every model, beam and batch; float32 with a beam is slow and tells nothing more."""
        cells = []
        for m in self.models:
            for beam_size in self.scope.beams:
                types = TYPES if beam_size == 1 else TYPES[:1]
                decoders = self.decoders(m, types, threads)
                for size in self.scope.batches:
                    work = self.forced(m, size, beam_size, threads)
                    cells.append(self.cell(m, decoders, work))
        return cells

    def natural_lengths(self, threads: int) -> list[Cell]:
        """The shipped model on real sentences."""
        m = self.models[0]
        decoders = self.decoders(m, TYPES, threads)
        return [
            self.cell(m, decoders, self.natural(m, size, beam_size, threads))
            for beam_size in self.scope.beams
            for size in self.scope.batches
        ]

    def pytorch(self) -> list[Cell]:
        """Plain greedy decoding with a cache, float32, one thread."""
        torch.set_num_threads(1)
        cells = []
        for m in self.models[:2]:
            special = load_bundle(m.float32).manifest.vocabulary
            decoders = {
                "PyTorch": SearchDecoder(TorchModel(m.module, special.pad_id), special),
                "int8": our_decoder(m.int8),
                "float32": our_decoder(m.float32),
            }
            self.warm_up(m, decoders)
            works = [self.forced(m, size, 1) for size in self.scope.batches[:3]]
            cells += [self.cell(m, decoders, work) for work in works]
        return cells

    def python_shares(self) -> list[Cell]:
        """What part of our decoding time is not spent inside ONNX Runtime."""
        cells = []
        for m in self.models[:2]:
            decode = our_decoder(m.int8)
            for beam_size in self.scope.beams:
                for size in self.scope.batches[:3]:
                    work = self.forced(m, size, beam_size)
                    decode(work)
                    shares = [python_share(decode, work) for _ in range(self.scope.rounds.most)]
                    cells.append(Cell(m.name, beam_size, size, {"share": float(np.median(shares))}))
                    self.bar.update()
        return cells

    def agreements(self) -> list[Agreement]:
        """Greedy tokens of both engines in float32, to the end of the sentence."""
        found = []
        for m in self.models:
            ours, theirs = our_decoder(m.float32), self.best.decoder(self.peer(m, "float32"))
            pairs: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
            for work in self.batches_of(m, self.scope.agreement, 32):
                pairs += zip(ours(work).ids, theirs(work).ids, strict=True)
            found.append(engine_page.agreement(m.name, pairs))
            self.bar.update()
        return found

    def decoders(self, m: Measured, types: tuple[str, ...], threads: int) -> dict[str, Decoder]:
        """Ours and theirs by name. With several threads theirs has two ways to use them."""
        decoders: dict[str, Decoder] = {}
        for kind in types:
            path = m.int8 if kind == "int8" else m.float32
            decoders[kind] = our_decoder(path, threads)
            decoders[f"CTranslate2 {kind}"] = self.best.decoder(self.peer(m, kind, threads))
            if threads > 1:
                peer = self.peer(m, kind, intra_threads=threads)
                decoders[f"CTranslate2 {kind}, intra"] = self.best.decoder(peer)
        self.warm_up(m, decoders)
        return decoders

    def warm_up(self, m: Measured, decoders: Mapping[str, Decoder]) -> None:
        """The first run opens a model over there, and takes memory everywhere."""
        for decode in decoders.values():
            decode(self.forced(m, 1, 1))

    def peer(self, m: Measured, kind: str, inter_threads: int = 1, intra_threads: int = 1) -> Peer:
        """CTranslate2's form of a model."""
        return Peer(self.converted[m.name], kind, inter_threads, intra_threads)

    def cell(self, m: Measured, decoders: Mapping[str, Decoder], work: Work) -> Cell:
        """One line of a table."""
        found = speeds(decoders, work, self.scope.rounds)
        self.bar.update()
        return Cell(m.name, work.beam_size, len(work.batches[0]), found)

    def forced(self, m: Measured, size: int, beam_size: int, threads: int = 1) -> Work:
        """Random sources of one length."""
        vocabulary = self.vocabularies[m.name]
        rng = np.random.default_rng(size)
        shape = threads, size, SOURCE_LENGTH - 1
        ids = rng.integers(vocabulary.eos_id + 300, len(vocabulary), shape).tolist()
        batches = tuple(tuple((*row, vocabulary.eos_id) for row in batch) for batch in ids)
        return Work(batches, beam_size, STEPS, forced=True)

    def natural(self, m: Measured, size: int, beam_size: int, threads: int = 1) -> Work:
        """Real sentences of mixed lengths."""
        sources = list(self.sources(m))
        batches = tuple(
            tuple(sources[(i * size + j) % len(sources)] for j in range(size))
            for i in range(threads)
        )
        return Work(batches, beam_size, LONGEST)

    def batches_of(self, m: Measured, count: int, size: int) -> Iterator[Work]:
        """Some sentences in batches, greedy."""
        sources = list(self.sources(m))[:count]
        for start in range(0, len(sources), size):
            yield Work((tuple(sources[start : start + size]),), 1, STEPS)

    def sources(self, m: Measured) -> Iterator[tuple[int, ...]]:
        """The sentences of the benchmarks, English into Korean."""
        for english, _ in read_sentences():
            yield tuple(self.vocabularies[m.name].encode_source(english, "ko"))

    def isa(self, process: PeerProcess) -> str:
        """The instructions of a process by name."""
        return process.isa or self.default_isa


def _pieces(vocabulary: Vocabulary) -> list[str]:
    return [vocabulary.source.id_to_piece(i) for i in range(len(vocabulary))]


def _forced_isas(default: str) -> list[str]:
    """AVX512 where the processor has it and it is not taken anyway."""
    able = "avx512f" in this_machine().instructions
    return ["AVX512"] if able and default != "AVX512" else []


def run(plan: Plan) -> None:
    """Measures everything and writes the page."""
    scope = Scope.of(plan.quick)
    texts = [(english, "ko") for english, _ in read_sentences()][:CALIBRATION]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        models = [shipped(plan.weights, plan.bundle)]
        tokenizer = plan.bundle / load_bundle(plan.bundle).manifest.vocabulary.source
        layers = tqdm(scope.decoder_layers, desc="building standard shapes", unit="model")
        models += [standard(count, tokenizer, texts, folder) for count in layers]
        bench = Bench(models, folder, scope, stack)
        isas = bench.instruction_sets()
        report = Report(
            models={m.name: describe(m) for m in models},
            cores=bench.cores,
            isas=tuple(bench.isa(process) for process in bench.processes),
            isa=bench.isa(bench.best),
            instruction_sets=isas,
            one_thread=bench.forced_lengths(1),
            all_cores=bench.forced_lengths(bench.cores) if bench.cores > 1 else [],
            natural=bench.natural_lengths(1),
            pytorch=bench.pytorch(),
            shares=bench.python_shares(),
            agreements=bench.agreements(),
        )
    engine_page.write(report, plan)
