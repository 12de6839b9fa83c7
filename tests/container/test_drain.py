"""SIGTERM while translations are being made."""

import json
import subprocess
import uuid

from tests.container.engine import CLIENT, HARDENED, container, docker
from tests.polling import wait_until

CLIENTS = 12
SENTENCES = 40
TEXT = "The weather has been so nice this week that we went for a walk after work every day."


def _in_flight(running) -> float:
    lines = running.ask("/metrics").splitlines()
    (line,) = (line for line in lines if line.startswith("seq2serve_http_requests_in_flight "))
    return float(line.split()[1]) - 1  # the scrape is in flight as well


def test_what_was_accepted_is_answered_and_the_exit_is_clean(image):
    """Fails when SIGTERM ends what runs: the clients, a container of their own in the same network
    of nothing but a loopback, have all their answers."""
    body = {"text": [TEXT] * SENTENCES, "source": "en", "target": "ko"}
    arguments = ("python", "-", "load", str(CLIENTS), json.dumps(body))
    # So that there is still work to do when it comes: one thread, and equal sentences count.
    slow = ("--env=SEQ2SERVE_WORKERS=1", "--env=SEQ2SERVE_SENTENCE_CACHE_BYTES=0")
    with container(image, "--network=none", *HARDENED, *slow) as running:
        running.wait_until_healthy()
        name = f"seq2serve-test-{uuid.uuid4().hex[:12]}"
        run = ["docker", "run", "--rm", "--interactive", f"--name={name}", "--entrypoint="]
        command = [*run, f"--network=container:{running.name}", image, *arguments]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as clients:
            try:
                clients.stdin.write(CLIENT)
                clients.stdin.close()
                clients.stdin = None
                wait_until(lambda: _in_flight(running) == CLIENTS, seconds=60)
                docker("kill", "--signal=SIGTERM", running.name)
                results = json.loads(clients.communicate(timeout=180)[0])
            finally:
                docker("rm", "--force", name, check=False)
        assert results == [[200, SENTENCES]] * CLIENTS
        wait_until(lambda: not running.running, seconds=60)
        assert running.exit_code == 0, running.logs


def test_an_idle_service_stops_at_once(image):
    """Well before `docker stop` loses its patience, which would be exit code 137."""
    with container(image, "--network=none", *HARDENED) as running:
        running.wait_until_healthy()
        docker("stop", "--time=10", running.name)
        assert running.exit_code == 0, running.logs
