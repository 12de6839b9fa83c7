"""The Docker engine by its command line, and containers that are gone after the test."""

import json
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.polling import wait_until

ROOT = Path(__file__).parent.parent.parent
CLIENT = (Path(__file__).parent / "client.py").read_text("utf-8")
SHIPPED = sorted(
    json.loads(path.read_text("utf-8"))["name"] for path in ROOT.glob("models/*/manifest.json")
)
"""The models that are baked in."""
HARDENED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
"""What the image must do without."""


def docker(*arguments: str, check: bool = True, seconds: float = 120) -> str:
    """Standard output of a docker command."""
    command = ["docker", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, cwd=ROOT)
    assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout.strip()


def answers() -> bool:
    """Whether there is an engine."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, timeout=60).returncode == 0


def has_bridge() -> bool:
    """Whether containers can have a network of their own; if not, they share the host's."""
    return "bridge" in docker("network", "ls", "--format", "{{.Name}}").split()


def build(file: str, tag: str) -> str:
    """Builds an image of the repository."""
    network = () if has_bridge() else ("--network=host",)
    docker("build", *network, f"--file={file}", f"--tag={tag}", ".", seconds=900)
    return tag


@dataclass(frozen=True, slots=True)
class Container:
    """A container that runs, or has run."""

    name: str

    def inspect(self):
        """What the engine says of it."""
        return json.loads(docker("inspect", self.name))[0]

    @property
    def health(self) -> str:
        """starting, healthy or unhealthy."""
        return self.inspect()["State"]["Health"]["Status"]

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self.inspect()["State"]["Running"]

    @property
    def exit_code(self) -> int:
        """Of its process, once it has ended."""
        return self.inspect()["State"]["ExitCode"]

    @property
    def logs(self) -> str:
        """What it printed."""
        command = ["docker", "logs", self.name]
        merged = subprocess.STDOUT
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=merged, text=True).stdout

    def execute(self, *command: str) -> str:
        """Runs a command inside."""
        return docker("exec", self.name, *command)

    def python(self, code: str) -> str:
        """Runs Python inside."""
        return self.execute("python", "-c", code)

    @property
    def listens(self) -> bool:
        """Whether it answers at all."""
        command = ["docker", "exec", self.name, "python", "-c", CLIENT, "ask", "/livez", "null"]
        return subprocess.run(command, capture_output=True, timeout=60).returncode == 0

    def ask(self, path: str, body: object = None) -> str:
        """Asks the service over the container's own loopback, which no network is needed for."""
        return self.execute("python", "-c", CLIENT, "ask", path, json.dumps(body))

    def wait_until_healthy(self) -> None:
        """Fails the test with the log if it never is."""
        wait_until(lambda: self.health == "healthy" or not self.running, seconds=60)
        assert self.running, self.logs


@contextmanager
def container(image: str, *options: str, command: tuple[str, ...] = ()) -> Iterator[Container]:
    """A container in the background."""
    name = f"seq2serve-test-{uuid.uuid4().hex[:12]}"
    docker("run", "--detach", f"--name={name}", *options, image, *command)
    try:
        yield Container(name)
    finally:
        docker("rm", "--force", "--volumes", name, check=False)
