"""Which file may import what. Read from the source with `ast`, also inside functions."""

import ast
import fnmatch
from pathlib import Path

ROOT = Path(__file__).parent.parent

# (files, what they may not import): a name stands for itself and all below it.
FORBIDDEN = [
    ("service/*", ["torch", "onnx", "onnxscript", "sacrebleu", "model_export"]),
    ("service/engine/*", ["fastapi", "starlette", "uvicorn", "service.api", "service.app"]),
    ("service/engine/*", ["service.pipeline", "service.text", "service.settings", "service.cli"]),
    ("service/text/*", ["fastapi", "starlette", "service.engine", "service.api", "service.app"]),
    (
        "service/text/*",
        ["service.pipeline", "service.assembly", "service.metrics", "service.settings"],
    ),
    ("service/pipeline.py", ["fastapi", "starlette", "uvicorn", "service.api", "service.app"]),
    ("service/pipeline.py", ["service.settings", "onnxruntime", "sentencepiece"]),
    ("service/preparation.py", ["fastapi", "starlette", "service.api", "service.app"]),
    (
        "service/preparation.py",
        ["service.pipeline", "service.assembly", "service.settings", "service.engine.search"],
    ),
    ("service/pivot.py", ["fastapi", "starlette", "service.api", "service.app"]),
    ("service/pivot.py", ["service.pipeline", "service.engine.engine", "service.settings"]),
    ("service/review.py", ["fastapi", "starlette", "service.api", "service.app"]),
    ("service/review.py", ["service.pipeline", "service.assembly", "service.settings"]),
    ("service/decoding.py", ["fastapi", "starlette", "service.api", "service.pipeline"]),
    ("service/decoding.py", ["service.engine.engine", "service.review", "service.settings"]),
    ("service/scoring.py", ["fastapi", "starlette", "service.api", "service.app"]),
    ("service/scoring.py", ["service.pipeline", "service.engine.engine", "service.settings"]),
    ("service/assembly.py", ["fastapi", "starlette", "service.api", "service.app"]),
    ("service/assembly.py", ["service.pipeline", "service.engine.engine", "service.settings"]),
    ("service/lifecycle/*", ["fastapi", "starlette", "service.api", "service.app"]),
    ("service/lifecycle/*", ["service.pipeline", "service.settings", "prometheus_client"]),
    ("service/engine/*", ["service.lifecycle"]),
    ("service/logs.py", ["service"]),
    ("service/tracing.py", ["service.api", "service.pipeline", "service.engine", "fastapi"]),
    ("service/api/*", ["onnxruntime", "sentencepiece", "numpy", "service.app", "service.settings"]),
    ("service/api/*", ["service.engine.onnx_model", "service.engine.search"]),
    ("service/engine/*search.py", ["sentencepiece", "onnxruntime", "prometheus_client"]),
    ("service/engine/steering.py", ["sentencepiece", "onnxruntime", "prometheus_client"]),
    ("service/engine/scheduler.py", ["sentencepiece", "onnxruntime", "numpy", "service.metrics"]),
    ("service/engine/sentence_cache.py", ["sentencepiece", "onnxruntime", "prometheus_client"]),
    ("service/engine/model.py", ["sentencepiece", "onnxruntime", "service"]),
    ("service/access/*", ["fastapi", "starlette", "service.api", "service.app", "service.cli"]),
    ("service/access/*", ["service.engine", "service.text", "service.pipeline"]),
    ("service/access/*", ["service.settings", "service.metrics"]),
    ("service/engine/*", ["service.access"]),
    ("service/text/*", ["service.access"]),
    ("service/pipeline.py", ["service.access"]),
    ("service/glossary_store.py", ["fastapi", "starlette", "service.api", "service.settings"]),
    ("service/glossary_store.py", ["service.pipeline", "service.engine", "service.text"]),
    ("service/documents/*", ["fastapi", "starlette", "service.api", "service.app"]),
    ("service/documents/*", ["service.access", "service.settings", "service.engine"]),
    ("service/documents/formats/*", ["service.pipeline", "service.documents.jobs"]),
    ("service/documents/jobs.py", ["service.pipeline", "service.text"]),
    ("service/pipeline.py", ["service.documents", "service.streaming", "service.flights"]),
    ("service/streaming.py", ["fastapi", "starlette", "service.api", "service.app"]),
    ("service/streaming.py", ["service.settings", "service.access"]),
    ("service/flights.py", ["fastapi", "starlette", "service.api", "service.app"]),
    ("service/flights.py", ["service.engine", "service.text", "service.streaming"]),
    ("service/text/*", ["service.documents"]),
    ("service/engine/*", ["service.documents"]),
    ("service/errors.py", ["service"]),
    ("service/metrics.py", ["service"]),
    ("service/settings.py", ["service"]),
    ("model_export/*", ["fastapi", "starlette", "uvicorn", "service.api", "service.app"]),
    ("model_export/*", ["service.cli", "service.settings"]),
    ("model_export/architectures/*", ["model_export.training", "onnx", "onnxruntime"]),
]


def imports(path: Path) -> set[str]:
    """Every module that a file imports, and every name out of it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def violations(root: Path) -> list[str]:
    """`file imports module` for everything that is not allowed."""
    return sorted(
        {
            f"{file} imports {name}"
            for path in [*root.glob("service/**/*.py"), *root.glob("model_export/**/*.py")]
            for file in [path.relative_to(root).as_posix()]
            for pattern, names in FORBIDDEN
            if fnmatch.fnmatch(file, pattern)
            for name in imports(path)
            for forbidden in names
            if name == forbidden or name.startswith(f"{forbidden}.")
        }
    )


def test_every_file_stays_in_its_layer():
    """The architecture's layers hold."""
    assert violations(ROOT) == []


def test_the_check_sees_bad_imports(tmp_path):
    """An engine that imports the web framework and a service that imports PyTorch are found."""
    engine = tmp_path / "service/engine"
    engine.mkdir(parents=True)
    (engine / "worker.py").write_text("def f():\n    from fastapi import FastAPI\n")
    (tmp_path / "service/app.py").write_text("import torch.nn\n")
    assert violations(tmp_path) == [
        "service/app.py imports torch.nn",
        "service/engine/worker.py imports fastapi",
        "service/engine/worker.py imports fastapi.FastAPI",
    ]


def test_patterns_name_files_that_exist():
    """A rule for a file that was renamed would hold for ever."""
    files = [path.relative_to(ROOT).as_posix() for path in ROOT.glob("*/**/*.py")]
    for pattern, _ in FORBIDDEN:
        assert fnmatch.filter(files, pattern), pattern
