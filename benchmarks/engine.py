"""Our engine against CTranslate2 on the same weights: tokens a second, and the ratio.

    python -m benchmarks.engine weights/en-ko-transformer models/en-ko-transformer PAIRS.tsv

One thread each, interleaved in one process, medians of several rounds; both decode real sentences
to their natural end. CT2_FORCE_CPU_ISA chooses CTranslate2's instructions; AVX512 is its best
where the processor has it.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("CT2_FORCE_CPU_ISA", "AVX512")

from benchmarks.ctranslate2_model import convert, open_translator, read_weights
from service.engine.bundle import load_bundle
from service.engine.model_loader import open_model
from service.engine.request import DecodingOptions
from service.engine.search import SearchInput, search
from service.engine.vocabulary import load_vocabulary

ROUNDS = 7
LONGEST = 60
BATCHES = (1, 8, 32, 64)
BEAMS = (1, 4)

Sources = list[list[int]]
Decode = Callable[[Sources, int], int]
"""Decodes a batch with a beam size -> target tokens, eos included."""


def ours(path: Path) -> Decode:
    """A bundle of ours."""
    bundle = load_bundle(path)
    model, special = open_model(bundle), bundle.manifest.vocabulary

    def decode(sources: Sources, beam_size: int) -> int:
        options = DecodingOptions(beam_size, 1, 1.0, LONGEST)
        inputs = [SearchInput(source, options) for source in sources]
        found = search(model, inputs, special.bos_id, special.eos_id)
        return sum(len(hypotheses[0].ids) + 1 for _, hypotheses in found)

    return decode


def theirs(path: Path, compute_type: str, pieces: list[str]) -> Decode:
    """A CTranslate2 model directory."""
    translator = open_translator(path, compute_type, threads=1)

    def decode(sources: Sources, beam_size: int) -> int:
        results = translator.translate_batch(
            [[pieces[i] for i in source] for source in sources],
            beam_size=beam_size,
            max_decoding_length=LONGEST,
            length_penalty=1.0 if beam_size > 1 else 0.0,
        )
        return sum(len(result.hypotheses[0]) + 1 for result in results)

    return decode


def measure(engines: dict[str, Decode], sources: Sources, beam_size: int) -> dict[str, float]:
    """Median tokens a second of each engine; the rounds take turns."""
    speeds: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(ROUNDS):
        for name, decode in engines.items():
            started = time.perf_counter()
            tokens = decode(sources, beam_size)
            speeds[name].append(tokens / (time.perf_counter() - started))
    return {name: statistics.median(found) for name, found in speeds.items()}


def main(float32: Path, int8: Path, pairs: Path) -> None:
    """Prints a markdown table."""
    bundle = load_bundle(float32)
    vocabulary = load_vocabulary(bundle)
    pieces = [vocabulary.source.id_to_piece(i) for i in range(len(vocabulary))]
    target = bundle.manifest.directions[0].target
    lines = pairs.read_text("utf-8").splitlines()
    sources = [vocabulary.encode_source(line.split("\t")[0], target) for line in lines]
    sources.sort(key=len)
    middle = sources[len(sources) // 4 :]
    with tempfile.TemporaryDirectory() as folder:
        heads = next(spec.shape[1] for spec in bundle.manifest.state if len(spec.shape) == 4)
        weights = read_weights(float32)
        layers = tuple(
            len({name.split(".")[1] for name in weights if name.startswith(f"{side}.")})
            for side in ("encoder", "decoder")
        )
        convert(weights, int(heads), (layers[0], layers[1]), pieces, Path(folder))
        engines = {
            "int8": ours(int8),
            "CTranslate2 int8": theirs(Path(folder), "int8", pieces),
            "float32": ours(float32),
            "CTranslate2 float32": theirs(Path(folder), "float32", pieces),
        }
        print(f"| beam | batch | {' | '.join(engines)} | int8 ratio | float32 ratio |")
        print("|---:|---:|" + "---:|" * (len(engines) + 2))
        for beam_size in BEAMS:
            for size in BATCHES:
                found = measure(engines, middle[:size], beam_size)
                speeds = list(found.values())
                ratios = f"{speeds[0] / speeds[1]:.2f} | {speeds[2] / speeds[3]:.2f}"
                cells = " | ".join(f"{speed:.0f}" for speed in speeds)
                print(f"| {beam_size} | {size} | {cells} | {ratios} |", flush=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
