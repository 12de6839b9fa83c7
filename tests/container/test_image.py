"""The image: small, without tools, and content with next to nothing."""

import json
import shutil

import pytest

from tests.container.engine import HARDENED, ROOT, SHIPPED, Container, container, docker
from tests.polling import wait_until

BODY = {"text": "Good morning. How are you?", "source": "en", "target": "ko"}
BUILD_TOOLS = ("cc", "gcc", "g++", "make", "git")


@pytest.fixture(scope="module")
def hardened(image):
    """A healthy container without network, rights and a file system to write to."""
    with container(image, "--network=none", *HARDENED) as running:
        running.wait_until_healthy()
        yield running


def models(running: Container) -> list[str]:
    """The names of the models that it serves."""
    return [model["name"] for model in json.loads(running.ask("/v1/models"))["models"]]


def test_it_translates(hardened):
    """Through the models that are baked in."""
    answer = json.loads(hardened.ask("/v1/translate", BODY))
    assert answer["usage"]["target_tokens"] > 0
    assert answer["translations"][0]["text"] != BODY["text"]


def test_it_runs_as_nobody_without_capabilities(hardened):
    """And can write nowhere."""
    assert hardened.execute("id", "-u") == "10001"
    status = hardened.execute("cat", "/proc/1/status")
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    code = "import pathlib\ntry: pathlib.Path('/tmp/x').touch()\nexcept OSError as e: print(e)"
    assert "Read-only file system" in hardened.python(code)


def test_the_log_has_no_complaint(hardened):
    """Of the service, or of a library that misses something to write to."""
    assert "serving en-ko-transformer" in hardened.logs
    for line in hardened.logs.splitlines():
        assert line.startswith("INFO:"), line


def test_it_holds_nothing_to_build_with(hardened):
    """No pip of its own, no compiler, no PyTorch, no exporter's libraries."""
    for module in ("pip", "setuptools", "torch", "onnx", "pytest"):
        found = hardened.python(f"import importlib.util as u; print(u.find_spec({module!r}))")
        assert found == "None", module
    for tool in BUILD_TOOLS:
        assert hardened.python(f"import shutil; print(shutil.which({tool!r}))") == "None", tool


def test_the_bill_of_materials_lists_what_is_installed(hardened):
    """By name and version."""
    listed = json.loads(hardened.execute("cat", "/app/sbom.cdx.json"))
    assert listed["bomFormat"] == "CycloneDX"
    components = {(c["name"].lower(), c["version"]) for c in listed["components"]}
    installed = json.loads(
        hardened.python(
            "import importlib.metadata as m, json;"
            "print(json.dumps([(d.name.lower(), d.version) for d in m.distributions()]))"
        )
    )
    missing = {(name, version) for name, version in installed} - components
    assert {name for name, _ in missing} <= {"seq2serve"}
    assert listed["metadata"]["component"]["name"] == "seq2serve"


def test_it_says_what_it_is(image):
    """In the labels that registries read."""
    labels = json.loads(docker("image", "inspect", image))[0]["Config"]["Labels"]
    kinds = ("title", "description", "licenses", "version", "revision")
    assert {f"org.opencontainers.image.{kind}" for kind in kinds} <= labels.keys()


def test_it_adds_little_to_the_python_image(image):
    """The whole stays below 350 MB on the official one, of about 130 MB."""
    base = json.loads(docker("image", "inspect", "python:3.11-slim-bookworm"))[0]["Size"]
    whole = json.loads(docker("image", "inspect", image))[0]["Size"]
    assert (whole - base) / 1e6 < 220


def test_another_bundle_can_be_mounted(image, tmp_path):
    """Beside the shipped one, which it does not disturb."""
    bundle = tmp_path / "another"
    shutil.copytree(ROOT / "models/en-ko-transformer", bundle)
    manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
    manifest["name"] = "another"
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    tmp_path.chmod(0o755)
    mount = f"--volume={bundle}:/models/another:ro"
    with container(image, "--network=none", *HARDENED, mount) as running:
        running.wait_until_healthy()
        assert sorted(models(running)) == sorted(["another", *SHIPPED])
        answer = json.loads(running.ask("/v1/translate", BODY | {"model": "another"}))
        assert answer["model"] == "another"


def test_links_to_bundles_are_followed(image):
    """As the manifests of Kubernetes make them, in a directory that holds nothing else."""
    command = "ln -sfn /models/* /all/; ln -sfn /bundles/* /all/; exec seq2serve serve"
    options = ("--network=none", *HARDENED, "--tmpfs=/all:mode=1777", "--entrypoint=sh")
    environment = "--env=SEQ2SERVE_MODELS=/all"
    with container(image, *options, environment, command=("-euc", command)) as running:
        running.wait_until_healthy()
        assert sorted(models(running)) == SHIPPED


def test_without_a_usable_bundle_it_is_unhealthy_and_says_why(image, tmp_path):
    """It lives all the same: the reason can be read."""
    tmp_path.chmod(0o755)
    options = ("--network=none", *HARDENED, f"--volume={tmp_path}:/models:ro")
    quick = ("--health-start-period=1s", "--health-interval=1s", "--health-retries=2")
    with container(image, *options, *quick) as running:
        wait_until(lambda: running.health == "unhealthy", seconds=60)
        assert running.running
        wait_until(lambda: running.listens, seconds=60)  # it may not even have come to that
        wait_until(lambda: "being loaded" not in running.ask("/readyz"), seconds=60)
        assert "there is no bundle in /models" in running.ask("/readyz")


def test_what_it_keeps_goes_into_a_volume(image, tmp_path):
    """Fails when a new volume belongs to root, whom the service is not."""
    line = docker("run", "--rm", "--network=none", image, "key", "web")
    (tmp_path / "keys").write_text(f"{line}\n", "utf-8")
    tmp_path.chmod(0o755)
    keys = (f"--volume={tmp_path}:/keys:ro", "--env=SEQ2SERVE_KEYS=/keys/keys")
    data = ("--volume=/data", "--env=SEQ2SERVE_DATA=/data")
    with container(image, "--network=none", *HARDENED, *keys, *data) as running:
        running.wait_until_healthy()
        assert "usage.sqlite3" in running.execute("ls", "/data").split()
