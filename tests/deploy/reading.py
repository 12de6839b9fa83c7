"""Reads what the repository ships for operators, with the tools that operators use."""

import functools
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from service.app import Loaded, create_app
from service.metrics import Metrics
from service.settings import Settings
from tests.fakes import make_engine

ROOT = Path(__file__).parent.parent.parent
COMPOSE = ROOT / "docker/compose.yaml"
PROMETHEUS = ROOT / "docker/prometheus"
DASHBOARD = ROOT / "docker/grafana/dashboards/seq2serve.json"
OVERLAYS = ("local", "production", "production-keda")


def read(path: Path):
    """The only document of a YAML file."""
    return yaml.safe_load(path.read_text("utf-8"))


def tool(name: str) -> str:
    """The path of a program; skips the test where it is missing."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def run(*command: str, stdin: str = "") -> str:
    """The output of a program that must succeed."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@functools.cache
def rendered(folder: str):
    """The objects that `kubectl kustomize` makes of a folder, by kind and name."""
    text = run(tool("kubectl"), "kustomize", str(ROOT / folder))
    return {(o["kind"], o["metadata"]["name"]): o for o in yaml.safe_load_all(text)}


def routes() -> dict:
    """The paths of the stored OpenAPI."""
    return json.loads((ROOT / "docs/openapi.json").read_text("utf-8"))["paths"]


def metric_names() -> set[str]:
    """Every sample name that /metrics can have, labelled series that do not exist yet included."""
    metrics = Metrics()
    engine = make_engine(metrics=metrics)
    engine.close()
    suffixes = {
        "counter": ("_total",),
        "gauge": ("",),
        "histogram": ("_bucket", "_sum", "_count"),
    }
    return {
        family.name + suffix
        for family in metrics.registry.collect()
        for suffix in suffixes.get(family.type, ("",))
    }


def names_in(expression: str) -> set[str]:
    """The metrics of this service, and what is recorded of them, in a PromQL expression."""
    return set(re.findall(r"[a-z0-9_:]*seq2serve_[a-z0-9_:]+", expression))


def app_with_a_fake():
    """The application over a scripted model."""
    return create_app(Settings(), lambda _, metrics: Loaded((make_engine(metrics=metrics),), ()))
