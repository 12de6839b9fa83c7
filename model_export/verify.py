"""Verifies a bundle: its own trace against PyTorch's, stored or computed anew."""

from pathlib import Path

from model_export.export import REFERENCE_LENGTH, Run
from model_export.parity import (
    TRACE,
    Parity,
    compare,
    enforce,
    enforce_int8,
    read_trace,
    record_trace,
)
from model_export.torch_model import TorchModel
from service.engine.bundle import load_bundle
from service.engine.model_loader import open_model
from service.errors import BundleError


def verify_bundle(path: Path, run: Run | None = None) -> Parity:
    """Compares the bundle with `run`, or with the trace that PyTorch left in it at export.

    Raises ParityError when they differ more than the bundle's precision explains, and BundleError
    when the bundle is not sound, which includes changed files.
    """
    bundle = load_bundle(path)
    vocabulary = bundle.manifest.vocabulary
    special_ids = vocabulary.bos_id, vocabulary.eos_id
    if TRACE not in bundle.manifest.files:
        raise BundleError(str(path), [f"{TRACE} is not listed, so there is nothing to compare"])
    expected = read_trace(bundle.file(TRACE))
    sources = [trace.source for trace in expected]
    if run is not None:
        live = TorchModel(run.model, vocabulary.pad_id)
        expected = record_trace(live, sources, special_ids, REFERENCE_LENGTH)
    forced = [trace.decoded[0].hypotheses[0].ids for trace in expected]
    # PyTorch chose among the whole vocabulary.
    model = open_model(bundle, use_shortlist=False)
    found = record_trace(model, sources, special_ids, REFERENCE_LENGTH, forced)
    parity = compare(expected, found)
    if bundle.manifest.precision == "int8":
        enforce_int8(parity)
    else:
        enforce(parity)
    return parity
