"""Which file may import what. Read from the source with `ast`, also inside functions."""

import ast
import fnmatch
from pathlib import Path

ROOT = Path(__file__).parent.parent

# (files, what they may not import): a name stands for itself and all below it.
FORBIDDEN = [
    ("service/*", ["torch", "onnx", "onnxscript", "sacrebleu", "model_export"]),
    ("service/engine/*", ["fastapi", "starlette", "uvicorn", "service.api", "service.app"]),
    ("service/engine/*", ["service.translation", "service.text", "service.settings"]),
    ("service/engine/*", ["service.cli"]),
    ("service/text/*", ["fastapi", "starlette", "service.engine", "service.api", "service.app"]),
    ("service/text/*", ["service.translation", "service.metrics", "service.settings"]),
    ("service/translation/*", ["fastapi", "starlette", "uvicorn", "service.api", "service.app"]),
    ("service/translation/*", ["service.settings", "service.access", "service.documents"]),
    ("service/translation/*", ["onnxruntime", "sentencepiece"]),
    ("service/translation/flights.py", ["service.engine", "service.text"]),
    ("service/lifecycle/*", ["fastapi", "starlette", "service.api", "service.app"]),
    ("service/lifecycle/*", ["service.translation", "service.settings", "prometheus_client"]),
    ("service/engine/*", ["service.lifecycle"]),
    ("service/logs.py", ["service"]),
    ("service/tracing.py", ["service.api", "service.translation", "service.engine", "fastapi"]),
    ("service/api/*", ["onnxruntime", "sentencepiece", "numpy", "service.app", "service.settings"]),
    ("service/api/*", ["service.engine.onnx_model", "service.engine.search"]),
    ("service/engine/*search.py", ["sentencepiece", "onnxruntime", "prometheus_client"]),
    ("service/engine/steering.py", ["sentencepiece", "onnxruntime", "prometheus_client"]),
    ("service/engine/scheduler.py", ["sentencepiece", "onnxruntime", "numpy", "service.metrics"]),
    ("service/engine/sentence_cache.py", ["sentencepiece", "onnxruntime", "prometheus_client"]),
    ("service/engine/model.py", ["sentencepiece", "onnxruntime", "service"]),
    ("service/access/*", ["fastapi", "starlette", "service.api", "service.app", "service.cli"]),
    ("service/access/*", ["service.engine", "service.text", "service.translation"]),
    ("service/access/*", ["service.settings", "service.metrics"]),
    ("service/engine/*", ["service.access"]),
    ("service/text/*", ["service.access"]),
    ("service/glossary_store.py", ["fastapi", "starlette", "service.api", "service.settings"]),
    ("service/glossary_store.py", ["service.translation", "service.engine", "service.text"]),
    ("service/documents/*", ["fastapi", "starlette", "service.api", "service.app"]),
    ("service/documents/*", ["service.access", "service.settings", "service.engine"]),
    ("service/documents/formats/*", ["service.translation", "service.documents.jobs"]),
    ("service/documents/jobs.py", ["service.translation", "service.text"]),
    ("service/text/*", ["service.documents"]),
    ("service/engine/*", ["service.documents"]),
    ("service/errors.py", ["service"]),
    ("service/metrics.py", ["service"]),
    ("service/settings.py", ["service"]),
    ("model_export/*", ["fastapi", "starlette", "uvicorn", "service.api", "service.app"]),
    ("model_export/*", ["service.cli", "service.settings"]),
    ("model_export/architectures/*", ["model_export.training", "onnx", "onnxruntime"]),
    ("model_export/architectures/*", ["model_export.graphs", "model_export.data"]),
    ("model_export/data/*", ["model_export.architectures", "model_export.graphs", "onnx"]),
    ("model_export/data/*", ["model_export.quality", "model_export.training"]),
    ("model_export/graphs/*", ["model_export.quality", "model_export.training"]),
    ("model_export/graphs/*", ["model_export.export", "model_export.runs"]),
    ("model_export/quality/*", ["model_export.training", "model_export.graphs", "torch"]),
    ("model_export/importers/*", ["model_export.commands", "model_export.data", "typer"]),
]

PIPELINE = (
    *("decoding", "request", "result", "pieces", "pivot", "preparation", "scoring", "review"),
    *("assembly", "parts", "catalogue", "translator", "flights", "streaming"),
)
"""The files of service/translation: each imports only those before it."""


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


def test_the_pipeline_has_one_order():
    """No file of it imports a later one, and the list is whole."""
    folder = ROOT / "service/translation"
    assert sorted(PIPELINE) == sorted(p.stem for p in folder.glob("[!_]*.py"))
    for place, name in enumerate(PIPELINE):
        later = {f"service.translation.{each}" for each in PIPELINE[place:]}
        assert not later & imports(folder / f"{name}.py"), name


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
