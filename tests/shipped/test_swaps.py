"""The shipped Transformer replaced again and again in a real process, while clients ask."""

import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from service.access.keys import Scope, new_key
from tests.serving import ROOT, serve_process

CLIENTS, SWAPS, WARM = 32, 20, 5
NAME = "en-ko-transformer"
TEXTS = [f"I have {number} apples." for number in range(2, 12)]


@contextmanager
def asked(url: str, headers: dict[str, str], answers: list[httpx.Response]) -> Iterator[None]:
    """Clients that ask one question after the other all the while."""
    done = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
            while not done.is_set():
                body = {"text": TEXTS, "source": "en", "target": "ko"}
                answers.append(client.post("/v1/translate", json=body))

    clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    yield
    done.set()
    for client in clients:
        client.join()


def metric(url: str, name: str) -> float:
    """A value of the process, or the only one of a model."""
    scraped = httpx.get(f"{url}/metrics").text
    found = re.search(rf"^{name}(?:{{.*}})? (\S+)$", scraped, re.MULTILINE)
    assert found is not None
    return float(found[1])


def test_twenty_swaps_leave_memory_where_it_was(tmp_path):
    """Fails when a request is lost or answered otherwise, or when what was replaced is held: twenty
    engines would be twenty times the bound, which is one."""
    shutil.copytree(ROOT / "models" / NAME, tmp_path / "models" / NAME)
    secret, line = new_key("boss", scopes=(Scope.TRANSLATE, Scope.ADMIN))
    (tmp_path / "keys").write_text(line, "utf-8")
    headers = {"X-API-Key": secret}
    answers: list[httpx.Response] = []
    with serve_process(tmp_path / "models", keys=str(tmp_path / "keys"), trial="false") as url:

        def swap(times: int) -> float:
            """Bytes of the process afterwards."""
            with asked(url, headers, answers):
                for _ in range(times):
                    place = f"{url}/v1/models/{NAME}/reload"
                    assert httpx.post(place, headers=headers, timeout=60).status_code == 200
            return metric(url, "process_resident_memory_bytes")

        before = swap(WARM)  # whatever is made once is there
        after = swap(SWAPS)
        assert after - before < metric(url, "seq2serve_model_bytes")
    assert {answer.status_code for answer in answers} == {200}
    assert len({str([t["text"] for t in a.json()["translations"]]) for a in answers}) == 1
