"""Everything goes wrong at once, and every answer is compared.

Workers die, models are loaded anew, clients leave, the disk is full for a while, strangers try keys
and hostile bundles are offered. Then the process is killed, and what was counted must still be
there.
"""

import asyncio
import json
import random
import shutil
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path

from benchmarks.reliability.client import Client, Question, questions, references
from benchmarks.reliability.report import Outcome, Report
from benchmarks.reliability.server import Server, run_server
from service.access.keys import KeyLimits, Scope, new_key
from service.access.quotas import FILE
from service.engine.bundle import describe_file, load_bundle, write_manifest

MODEL, HOSTILE = "en-ko-transformer", "hostile"
CLIENTS = 6
TEXTS = 3
PLENTY = 1_000_000_000
PLANNED = (
    "clients cut off",
    "guessed keys refused",
    "hostile bundles refused",
    "keys shown in six ways",
    "models loaded anew",
    "times the disk was full",
    "workers killed",
)
"""How what is meant to happen is called; whatever else is counted breaks a promise."""


@dataclass(slots=True)
class Scene:
    """What the run has at hand."""

    server: Server
    asked: list[Question]
    known: list[list[str]]
    secrets: dict[str, str]
    outcomes: list[Outcome] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    answered_characters: Counter[str] = field(default_factory=Counter)
    sent_characters: Counter[str] = field(default_factory=Counter)

    def client(self, name: str) -> Client:
        """With the key of this name."""
        headers = (("Authorization", f"Bearer {self.secrets[name]}"),)
        return Client(self.server.port, headers)


def run(models: Path, quick: bool) -> Report:
    """Minutes, or seconds if `quick`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        served = folder / "models"
        shutil.copytree(models / MODEL, served / MODEL)
        _offer_hostile(served, models)
        secrets = _make_keys(folder / "keys")
        settings = {
            "models": served,
            "sentence_cache_bytes": 0,
            "keys": folder / "keys",
            "data": folder / "data",
            "log_level": "info",
        }
        with run_server(folder, settings) as server:
            scene = asyncio.run(_run(server, secrets, quick))
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
        with run_server(folder, settings) as again:
            return asyncio.run(_judge(scene, again, folder))


def _make_keys(path: Path) -> dict[str, str]:
    """A key without limits, one with, and one for the operator."""
    made = {
        "free": new_key("free"),
        "counted": new_key("counted", limits=KeyLimits(characters_per_month=PLENTY)),
        "boss": new_key("boss", [Scope.ADMIN]),
    }
    path.write_text("\n".join(line for _, line in made.values()), "utf-8")
    return {name: secret for name, (secret, _) in made.items()}


def _offer_hostile(served: Path, models: Path) -> None:
    """A bundle whose encoder is cut off, with a checksum that says that it is whole."""
    hostile = shutil.copytree(models / MODEL, served / HOSTILE)
    bundle = load_bundle(hostile)
    encoder = bundle.file(bundle.manifest.encoder)
    encoder.write_bytes(encoder.read_bytes()[:1000])
    files = bundle.manifest.files | {encoder.name: describe_file(encoder)}
    write_manifest(hostile, replace(bundle.manifest, name=HOSTILE, files=files))


async def _run(server: Server, secrets: dict[str, str], quick: bool) -> Scene:
    asked = questions(15 if quick else 60, TEXTS, seed=5)
    headers = (("Authorization", f"Bearer {secrets['free']}"),)
    known = await references(server.port, asked, headers)
    scene = Scene(server, asked, known, secrets)
    ends = time.perf_counter() + (10.0 if quick else 180.0)
    names = [("free", "counted")[number % 2] for number in range(CLIENTS)]
    await asyncio.gather(
        *(_caller(scene, name, ends, seed) for seed, name in enumerate(names)),
        _visitor(scene, ends),
        _kill_workers(scene, ends, 3.0 if quick else 7.0),
        _fill_disk(scene, ends, 2.0 if quick else 5.0),
        _swap_models(scene, ends, 4.0 if quick else 10.0),
    )
    return scene


async def _caller(scene: Scene, name: str, ends: float, seed: int) -> None:
    """Asks, compares, and sometimes leaves."""
    client, rng = scene.client(name), random.Random(seed)
    while time.perf_counter() < ends:
        i = rng.randrange(len(scene.asked))
        question = scene.asked[i]
        characters = sum(map(len, question.texts))
        scene.sent_characters[name] += characters
        if rng.random() < 0.1:
            scene.outcomes.append(await client.leave(question, rng.random() / 10))
            scene.done["clients cut off"] += 1
            continue
        outcome = await client.ask(question, scene.known[i])
        scene.outcomes.append(outcome)
        if outcome.status == 200:
            scene.answered_characters[name] += characters
        else:
            await asyncio.sleep(0.05)
    client.close()


def _ways(secret: str) -> list[tuple[Sequence[tuple[str, str]], str, dict[str, str]]]:
    """Headers, path and fields of a translation, with the key where each protocol has it."""
    libre = {"q": "Hello.", "source": "en", "target": "ko"}
    deepl = {"text": "Hello.", "source_lang": "EN", "target_lang": "KO"}
    native = {"text": "Hello.", "source": "en", "target": "ko"}
    return [
        ((("Authorization", f"Bearer {secret}"),), "/v1/translate", native),
        ((("X-API-Key", secret),), "/v1/translate", native),
        ((), "/translate", {**libre, "api_key": secret}),
        ((), f"/translate?api_key={secret}", libre),
        ((("Authorization", f"DeepL-Auth-Key {secret}"),), "/v2/translate", deepl),
        ((), f"/v2/translate?auth_key={secret}", deepl),
    ]


async def _visitor(scene: Scene, ends: float) -> None:
    """Tries a key that is none, and one that is, in each protocol's own way."""
    turns = cycle(zip(_ways("s2s_guessed"), _ways(scene.secrets["free"]), strict=True))
    while time.perf_counter() < ends:
        guessed, known = next(turns)
        refused = await _knock(scene, *guessed) in (401, 403)
        scene.done["guessed keys refused" if refused else "guessed keys let in"] += 1
        turned_away = await _knock(scene, *known) in (400, 401, 403)
        scene.done["keys turned away" if turned_away else "keys shown in six ways"] += 1
        await asyncio.sleep(0.2)


async def _knock(
    scene: Scene, headers: Sequence[tuple[str, str]], path: str, fields: dict[str, str]
) -> int:
    client = Client(scene.server.port, headers)
    status, _, _ = await client.post(path, json.dumps(fields).encode())
    client.close()
    return status


async def _kill_workers(scene: Scene, ends: float, pause: float) -> None:
    while time.perf_counter() + 2 * pause < ends:
        await asyncio.sleep(pause)
        scene.server.tell("kill")
        scene.done["workers killed"] += 1


async def _fill_disk(scene: Scene, ends: float, pause: float) -> None:
    while time.perf_counter() + 2 * pause < ends:
        await asyncio.sleep(pause)
        scene.server.tell("fill")
        scene.done["times the disk was full"] += 1
        await asyncio.sleep(pause / 4)
        scene.server.tell("free")


async def _swap_models(scene: Scene, ends: float, pause: float) -> None:
    client = scene.client("boss")
    while time.perf_counter() + 2 * pause < ends:
        await asyncio.sleep(pause)
        for name, wanted, allowed in (
            (MODEL, "models loaded anew", (200,)),
            (HOSTILE, "hostile bundles refused", (409, 422)),
        ):
            status, _, body = await client.post(f"/v1/models/{name}/reload", b"{}")
            good = status in allowed
            scene.done[wanted if good else f"reload of {name} said {status} {body[:100]!r}"] += 1
    client.close()


async def _judge(scene: Scene, again: Server, folder: Path) -> Report:
    """After the kill and a new start."""
    report = Report()
    for name, number in sorted(scene.done.items()):
        report.say(name, number)
    report.count(scene.outcomes, allowed=(503,))
    told = sum(outcome.status == 503 for outcome in scene.outcomes)
    report.promise(told < len(scene.outcomes) / 2, f"{told} were told 503, that is too many")
    for name in scene.done:
        report.promise(name in PLANNED, name)
    with closing(sqlite3.connect(folder / "data" / FILE)) as usage:
        sound = usage.execute("PRAGMA integrity_check").fetchone()[0]
        counted = usage.execute("SELECT characters FROM month WHERE name = 'counted'").fetchone()[0]
    least, most = scene.answered_characters["counted"], scene.sent_characters["counted"]
    report.say("SQLite after SIGKILL", sound)
    report.say("characters answered, counted, sent", f"{least:,}, {counted:,}, {most:,}")
    report.promise(sound == "ok", "the database is not sound")
    report.promise(least <= counted <= most, "characters were forgotten or invented")
    after = await references(again.port, scene.asked[:10], (("X-API-Key", scene.secrets["free"]),))
    report.promise(after == scene.known[:10], "after the restart answers differ")
    logs = [path.read_text("utf-8", "replace") for path in folder.glob("*.log")]
    shown = sum(secret in log for log in logs for secret in _secrets(scene))
    report.say("keys in the logs", shown)
    report.promise(shown == 0, "a key is in a log")
    peak = max(each.rss_mib for each in scene.server.samples)
    report.say("memory, at most", f"{peak:.0f} MiB")
    return report


def _secrets(scene: Scene) -> Sequence[str]:
    return [*scene.secrets.values(), "s2s_guessed"]
