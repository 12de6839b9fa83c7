"""The compose stack: Prometheus scrapes the service, its queries and alerts answer.

Grafana is not started: the dashboard is tested by tests/deploy.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from tests.container import engine
from tests.polling import wait_until

COMPOSE = engine.ROOT / "docker/compose.yaml"
PROJECT = "seq2serve-test"
LOOPBACK = "127.0.0.77"
"""Where both listen if the engine has no networks, so that nobody else's ports are in the way."""
BODY = {"text": "Good morning. How are you?", "source": "en", "target": "ko"}
OVERLOAD = {"text": ["one two three four five six"] * 40, "source": "en", "target": "ko"}


@dataclass(frozen=True, slots=True)
class Stack:
    """Where the parts answer."""

    service: str
    prometheus: str

    def query(self, expression: str) -> list[dict]:
        """The samples of a query."""
        answer = httpx.get(f"{self.prometheus}/api/v1/query", params={"query": expression})
        return answer.raise_for_status().json()["data"]["result"]

    def value(self, expression: str) -> float:
        """The value of the only sample; zero while there is none."""
        samples = self.query(expression)
        return float(samples[0]["value"][1]) if samples else 0.0


def shipped(service: str) -> dict:
    """A service of the compose file."""
    return yaml.safe_load(COMPOSE.read_text("utf-8"))["services"][service]


def impatient_rules(folder: Path) -> Path:
    """The configuration of Prometheus with alerts that fire after seconds, not minutes."""
    copied = folder / "prometheus.d"
    shutil.copytree(COMPOSE.parent / "prometheus", copied)
    rules = copied / "rules.yaml"
    rules.write_text(re.sub(r"for: \d+m", "for: 5s", rules.read_text("utf-8")))
    copied.chmod(0o755)
    return copied


def prometheus_image(folder: Path) -> str:
    """That of the compose file; where it cannot be had, one of a Prometheus on this machine."""
    named = shipped("prometheus")["image"].removeprefix("${PROMETHEUS_IMAGE:-").rstrip("}")
    image = os.environ.get("PROMETHEUS_IMAGE", named)
    if engine.docker("images", "--quiet", image):
        return image
    pull = subprocess.run(["docker", "pull", "--quiet", image], capture_output=True, timeout=300)
    if pull.returncode == 0:
        return image
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip(f"{image} cannot be pulled, and there is no prometheus on this machine")
    shutil.copy(binary, folder / "prometheus")
    (folder / "Dockerfile").write_text(
        "FROM python:3.11-slim-bookworm\nCOPY prometheus /bin/prometheus\n"
        'ENTRYPOINT ["/bin/prometheus"]\n'
    )
    tag = "seq2serve-test-prometheus:local"
    engine.docker("build", "--quiet", f"--tag={tag}", str(folder), seconds=300)
    return tag


def overrides(image: str, folder: Path) -> dict:
    """A short queue, to overload it; without networks, everything on one loopback address."""
    # Equal sentences overload it only without the cache.
    environment = {"SEQ2SERVE_WAITING_TOKENS": "200", "SEQ2SERVE_SENTENCE_CACHE_BYTES": "0"}
    service: dict = {"image": image, "environment": environment}
    prometheus: dict = {"volumes": [f"{impatient_rules(folder)}:/etc/prometheus:ro"]}
    if not engine.has_bridge():
        service["environment"]["SEQ2SERVE_HOST"] = LOOPBACK
        shared = {"network_mode": "host", "extra_hosts": [f"seq2serve:{LOOPBACK}"]}
        listen = [f"--web.listen-address={LOOPBACK}:9090"]
        given = shipped("prometheus")["command"]
        service |= shared
        prometheus |= shared | {"command": given + listen}
    return {"services": {"seq2serve": service, "prometheus": prometheus}}


@pytest.fixture(scope="module")
def stack(image: str, tmp_path_factory) -> Iterator[Stack]:
    """Both up, and gone afterwards with their volume."""
    folder = tmp_path_factory.mktemp("compose")
    override = folder / "override.yaml"
    text = yaml.safe_dump(overrides(image, folder))
    if not engine.has_bridge():
        text = text.replace("network_mode: host", "network_mode: host\n    ports: !reset []")
    override.write_text(text)
    os.environ["PROMETHEUS_IMAGE"] = prometheus_image(folder)
    files = ("--file", str(COMPOSE), "--file", str(override))
    compose = ("compose", "--project-name", PROJECT, *files)
    host = "127.0.0.1" if engine.has_bridge() else LOOPBACK
    try:
        engine.docker(*compose, "up", "--detach", "--wait", "seq2serve", "prometheus", seconds=300)
        yield Stack(f"http://{host}:8000", f"http://{host}:9090")
    finally:
        engine.docker(*compose, "down", "--volumes", "--timeout", "30", check=False)
        del os.environ["PROMETHEUS_IMAGE"]


@pytest.mark.usefixtures("_engine")
def test_the_file_is_sound():
    """As the compose command sees it."""
    config = json.loads(engine.docker("compose", "-f", str(COMPOSE), "config", "--format=json"))
    assert set(config["services"]) == {"seq2serve", "prometheus", "grafana"}


def test_prometheus_counts_the_tokens_that_were_translated(stack):
    """One instance, up, with the models of the image."""
    answer = httpx.post(f"{stack.service}/v1/translate", json=BODY, timeout=60).raise_for_status()
    tokens = answer.json()["usage"]["target_tokens"]
    assert tokens > 0
    query = 'sum(seq2serve_target_tokens_total{job="seq2serve",direction="en-ko"})'
    wait_until(lambda: stack.value(query) == tokens, seconds=60)
    assert stack.value('sum(up{job="seq2serve"})') == 1
    loaded = 'count(seq2serve_model_info{job="seq2serve"})'  # the last ones after it is ready
    wait_until(lambda: stack.value(loaded) == len(engine.SHIPPED), seconds=90)


def test_the_rules_are_loaded_and_healthy(stack):
    """All groups, evaluated without an error."""

    def rules() -> list[dict]:
        groups = httpx.get(f"{stack.prometheus}/api/v1/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    wait_until(lambda: rules() and all(rule["health"] != "unknown" for rule in rules()), seconds=60)
    assert {rule["health"] for rule in rules()} == {"ok"}


def test_an_overload_makes_the_alert_fire(stack):
    """More than the queue takes is refused with 429, until somebody is told."""

    def send(_: int) -> int:
        answer = httpx.post(f"{stack.service}/v1/translate", json=OVERLOAD, timeout=60)
        return answer.status_code

    def overload_and_look() -> bool:
        with ThreadPoolExecutor(8) as clients:
            statuses = set(clients.map(send, range(8)))
        assert statuses <= {200, 429}
        return bool(stack.query('ALERTS{alertname="Seq2serveRejecting",alertstate="firing"}'))

    wait_until(overload_and_look, seconds=90)
