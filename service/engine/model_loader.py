"""Opens a bundle's graphs in the form that its manifest describes."""

from service.engine.bundle import Bundle
from service.engine.cached_model import CachedModel
from service.engine.onnx_model import OnnxModel


def open_model(
    bundle: Bundle, threads: int = 1, use_shortlist: bool = True
) -> OnnxModel | CachedModel:
    """`threads` work on one step; without its shortlist a model may say every piece. Raises
    BundleError when the graphs cannot be loaded or differ from the manifest."""
    if any(spec.kind == "cache" for spec in bundle.manifest.state):
        return CachedModel(bundle, threads, use_shortlist)
    return OnnxModel(bundle, threads=threads)
