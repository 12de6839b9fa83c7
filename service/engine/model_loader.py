"""Opens a bundle's graphs in the form that its manifest describes."""

from service.engine.bundle import Bundle
from service.engine.cached_model import CachedModel
from service.engine.onnx_model import OnnxModel


def open_model(bundle: Bundle, threads: int = 1) -> OnnxModel | CachedModel:
    """`threads` work on one step. Raises BundleError when the graphs cannot be loaded or differ
    from the manifest."""
    if any(spec.kind == "cache" for spec in bundle.manifest.state):
        return CachedModel(bundle, threads)
    return OnnxModel(bundle, threads=threads)
