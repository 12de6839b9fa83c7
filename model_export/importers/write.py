"""Writes an imported model as a bundle: graphs, tokenizers, checks, int8. All or nothing."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from model_export.export import (
    DECODER,
    ENCODER,
    REFERENCE_LENGTH,
    REFERENCE_SENTENCES,
    write_transformer,
)
from model_export.importers.agreement import decode, original_agreement, smoke_faults
from model_export.importers.assemble import Assembled, assemble
from model_export.importers.imported import Imported, ImportFaults
from model_export.importers.originals import Original
from model_export.importers.sample_text import draw_lines, read_lines
from model_export.model_card import write_described
from model_export.parity import TRACE, record_trace, write_trace
from model_export.quantisation import bundle_agreement, quantise_bundle
from model_export.torch_model import TorchModel
from model_export.verify import verify_bundle
from service.engine.bundle import (
    FORMAT_VERSION,
    Direction,
    Limits,
    Manifest,
    Provenance,
    StateSpec,
    VocabularySpec,
    describe_file,
    load_bundle,
    write_manifest,
)
from service.engine.model_loader import open_model
from service.engine.vocabulary import load_vocabulary

SOURCE, TARGET = "source.model", "target.model"
MAX_SOURCE, MAX_TARGET = 256, 512
PERCENTILE = 99.99
CALIBRATION = 100
Report = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to become of an imported model."""

    name: str
    int8: bool = True
    calibration: Path | None = None
    """Text in the source language, a sentence a line; without it sentences are drawn."""
    pairs: tuple[Path, ...] = ()
    """Pair files that both precisions are evaluated on."""
    tolerance: float = 0.5
    """chrF2++ points that int8 may lose on them."""


def write_bundle(
    imported: Imported, original: Original | None, bundle: Path, wanted: Wanted, report: Report
) -> None:
    """Raises ImportFaults, ParityError or QualityError, and then has written nothing."""
    assembled = assemble(imported)
    bundle.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=bundle.parent, prefix=".import-") as name:
        folder = Path(name)
        float32, made = folder / "float32", folder / "int8"
        texts = write_float32(imported, assembled, float32, wanted)
        check_float32(imported, assembled, float32, original, texts, report)
        if wanted.int8:
            quantise_import(float32, made, texts, wanted, report)
        else:
            made = float32
        made.rename(bundle)  # at once, so that nobody meets half of it


def write_float32(
    imported: Imported, assembled: Assembled, folder: Path, wanted: Wanted
) -> list[tuple[str, str]]:
    """The float32 bundle with PyTorch's trace -> (text, target language) pairs to try it on."""
    folder.mkdir()
    (folder / SOURCE).write_bytes(assembled.source.model)
    (folder / TARGET).write_bytes(assembled.target.model)
    config = assembled.model.config
    places = config.positions if config.position_layout == "table" else MAX_TARGET + 1
    limits = Limits(min(MAX_SOURCE, places - 1), min(MAX_TARGET, places - 1))
    state, aligner = write_transformer(assembled.model, folder, min(places, MAX_TARGET + 1))
    manifest = make_manifest(imported, assembled, folder, (state, aligner), limits, wanted.name)
    write_manifest(folder, manifest)
    texts = sample_texts(imported, folder / SOURCE, wanted)
    vocabulary = load_vocabulary(load_bundle(folder))
    sources = [vocabulary.encode_source(*text) for text in texts]
    sources = [s for s in sources if len(s) <= limits.max_source_length][:REFERENCE_SENTENCES]
    special = manifest.vocabulary.bos_id, manifest.vocabulary.eos_id
    live = TorchModel(assembled.model, config.pad_id)
    write_trace(folder / TRACE, record_trace(live, sources, special, REFERENCE_LENGTH))
    files = {**manifest.files, TRACE: describe_file(folder / TRACE)}
    manifest = replace(manifest, files=files)
    write_described(folder, manifest)
    return texts


def sample_texts(imported: Imported, tokenizer: Path, wanted: Wanted) -> list[tuple[str, str]]:
    """Texts for all target languages in turn."""
    if wanted.calibration is None:
        lines = draw_lines(tokenizer, CALIBRATION)
    else:
        lines = read_lines(wanted.calibration, CALIBRATION)
        if not lines:
            raise ImportFaults(wanted.calibration, ["there is no text in it"])
    targets = list(imported.targets)
    return [(line, targets[i % len(targets)]) for i, line in enumerate(lines)]


def make_manifest(
    imported: Imported,
    assembled: Assembled,
    folder: Path,
    graphs: tuple[tuple[StateSpec, ...], str],
    limits: Limits,
    name: str,
) -> Manifest:
    """Describes the files in `folder` and where they come from."""
    ids, target = assembled.target.ids, assembled.target
    directions = tuple(
        Direction(source, language)
        for source in imported.sources
        for language in imported.targets
        if source != language
    )
    parameters = sum(p.numel() for p in assembled.model.parameters())
    origin = imported.origin
    return Manifest(
        format_version=FORMAT_VERSION,
        name=name,
        version=imported.version,
        architecture="transformer",
        parameters=parameters,
        precision="float32",
        directions=directions,
        vocabulary=VocabularySpec(
            SOURCE,
            TARGET,
            len(target.rows),
            target.pad_id,
            target.start_id,
            ids[imported.target.eos],
            imported.layout,
        ),
        encoder=ENCODER,
        decoder=DECODER,
        state=graphs[0],
        aligner=graphs[1],
        limits=limits,
        decoding=imported.decoding,
        provenance=Provenance(origin.format, 0, 0, (), origin),
        scores=(),
        files={path.name: describe_file(path) for path in sorted(folder.iterdir())},
    )


def check_float32(
    imported: Imported,
    assembled: Assembled,
    folder: Path,
    original: Original | None,
    texts: list[tuple[str, str]],
    report: Report,
) -> None:
    """A smoke test, PyTorch's trace, and the original library where there is one."""
    bundle = load_bundle(folder)
    some = texts[:REFERENCE_SENTENCES]
    sources = [load_vocabulary(bundle).encode_source(*text) for text in some]
    longest = min(64, bundle.manifest.limits.max_target_length)
    faults = smoke_faults(decode(bundle, open_model(bundle), sources, 1, longest))
    if faults:
        raise ImportFaults(
            Path(imported.origin.name), [f"the smoke test failed: {fault}" for fault in faults]
        )
    parity = verify_bundle(folder)
    report(
        f"{parity.sentences} sentences under ONNX Runtime as under PyTorch: "
        f"log-probabilities differ by at most {parity.max_step_difference:.2g}"
    )
    if original is None:
        report("the original library is not installed: not compared with it")
        return
    found = original_agreement(bundle, imported, assembled, original, some, longest)
    report(
        f"{found.equal} of {found.hypotheses} hypotheses (greedy, beams of 2 and 4) are those of "
        f"the original library, scores differ by at most {found.max_score_difference:.2g}"
    )


def quantise_import(
    float32: Path, int8: Path, texts: list[tuple[str, str]], wanted: Wanted, report: Report
) -> None:
    """Makes int8 of it, and checks that against the same trace."""
    if wanted.calibration is None:
        report("int8 ranges come from drawn sentences; --calibration with real text fits better")
    options = (wanted.pairs, PERCENTILE, wanted.tolerance)
    quantise_bundle(float32, int8, texts, *options, lambda loss: report(str(loss)))
    verify_bundle(int8)
    share = bundle_agreement(float32, int8, texts).share
    report(f"after the same beginning, {share:.2%} of all pieces are the same in float32 and int8")
    shutil.rmtree(float32)
