"""The Dockerfiles and the compose file, as far as they can be judged without an engine."""

import json
import re

import pytest

from service import __version__
from service.settings import Settings
from tests.deploy.reading import COMPOSE, PROMETHEUS, ROOT, read
from tests.deploy.test_manifests import seconds_to_drain

DOCKERFILES = [ROOT / "Dockerfile", ROOT / "docker/exporter.Dockerfile"]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_images_are_built_on_a_pinned_python_and_run_by_nobody(path):
    """The last word on the user is a number that is not root's."""
    text = path.read_text("utf-8")
    assert "ARG PYTHON_IMAGE=python:3.11-slim-bookworm\n" in text
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${PYTHON_IMAGE}"}
    assert re.findall(r"^USER (.*)", text, re.MULTILINE)[-1] == "10001:10001"
    assert not text.startswith("# syntax")


def test_variables_of_the_image_are_settings():
    """A name that is mistyped would be ignored in silence."""
    text = (ROOT / "Dockerfile").read_text("utf-8")
    given = dict(re.findall(r"SEQ2SERVE_(\w+)=(\S+)", text))
    settings = Settings(**{name.lower(): value for name, value in given.items()})
    assert set(given) == {"HOST", "PORT", "MODELS"}
    assert set(map(str.lower, given)) <= set(Settings.model_fields)
    assert f"EXPOSE {settings.port}\n" in text


def test_versions_agree():
    """The version of the package is that of the image, wherever one is named."""
    assert f"ARG VERSION={__version__}\n" in (ROOT / "Dockerfile").read_text("utf-8")
    services = read(COMPOSE)["services"]
    assert services["seq2serve"]["image"] == f"seq2serve:{__version__}"
    for service in services.values():
        assert re.search(r":v?\d+\.\d+\.\d+\}?$", service["image"])


def test_the_dashboard_is_typed_for_the_grafana_that_shows_it():
    """Fails when `make lint-dashboard` reads the schema of another version than compose starts."""
    package = json.loads((ROOT / "tests/deploy/grafana/package.json").read_text("utf-8"))
    typed = package["devDependencies"]["@grafana/schema"]
    assert f"grafana/grafana:{typed}}}" in read(COMPOSE)["services"]["grafana"]["image"]


def test_compose_runs_everything_without_rights_and_on_this_machine_only():
    """Nobody else can reach what has no authentication."""
    for service in read(COMPOSE)["services"].values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_compose_waits_until_the_queue_is_empty():
    """Even on a single core."""
    service = read(COMPOSE)["services"]["seq2serve"]
    tokens = int(service["environment"]["SEQ2SERVE_WAITING_TOKENS"])
    grace = int(service["stop_grace_period"].removesuffix("s"))
    assert grace >= seconds_to_drain(tokens, cores=1)


def test_prometheus_scrapes_the_service_of_compose():
    """By its name and the port that it listens on."""
    (job,) = read(PROMETHEUS / "prometheus.yaml")["scrape_configs"]
    assert job["job_name"] == "seq2serve"
    assert job["static_configs"] == [{"targets": [f"seq2serve:{Settings().port}"]}]
    assert "seq2serve" in read(COMPOSE)["services"]
    files = read(PROMETHEUS / "prometheus.yaml")["rule_files"]
    assert all((PROMETHEUS / file).is_file() for file in files)
