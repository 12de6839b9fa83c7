"""The service over HTTP against applications around CTranslate2, with more and more clients."""

import itertools
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from benchmarks import serving_page
from benchmarks.ctranslate2_app import Batching
from benchmarks.ctranslate2_model import convert, read_weights
from benchmarks.load import Answer, Phase, put_load
from benchmarks.machine import this_machine
from benchmarks.peers import ISA
from benchmarks.plan import Plan
from benchmarks.sentences import Text, mixed_sentences
from benchmarks.servers import serve
from benchmarks.serving_page import OURS, Load
from benchmarks.shapes import RECIPES
from model_export.recipe import TransformerRecipe, load_recipe
from service.engine.bundle import load_bundle
from service.engine.vocabulary import load_vocabulary
from service.settings import available_cores


@dataclass(frozen=True, slots=True)
class Scope:
    """How much is measured."""

    clients: tuple[int, ...]
    beams: tuple[int, ...]
    rounds: int
    seconds: float
    """Of one phase: one server, so many clients, one round."""
    warm_up: float
    """Seconds of load on each server before anything counts."""

    @classmethod
    def of(cls, quick: bool) -> "Scope":
        """A quick run sees one search and two loads."""
        if quick:
            return cls((1, 32), (4,), 1, 3.0, 1.0)
        return cls((1, 8, 32, 128), (1, 4), 2, 6.0, 3.0)


def run(plan: Plan) -> None:
    """Measures everything and writes the page."""
    scope = Scope.of(plan.quick)
    phases = len(scope.beams) * scope.rounds * len(scope.clients) * 3
    loads: list[Load] = []
    texts = mixed_sentences(seed=1)
    with tempfile.TemporaryDirectory() as name, tqdm(total=phases, unit="phase") as bar:
        folder = Path(name)
        converted = converted_model(plan, folder / "ctranslate2")
        models = folder / "models"
        models.mkdir()
        (models / plan.bundle.name).symlink_to(plan.bundle.resolve())
        for beam_size in scope.beams:
            with ExitStack() as stack:
                ports = {
                    name: stack.enter_context(serve(arguments, environment))
                    for name, (arguments, environment) in commands(
                        models, converted, plan.bundle, beam_size
                    ).items()
                }
                loads += measure(ports, beam_size, scope, texts, bar)
    serving_page.write(loads, plan)


def measure(
    ports: Mapping[str, int], beam_size: int, scope: Scope, texts: Iterator[Text], bar: tqdm
) -> list[Load]:
    """The servers take turns, one under load at a time, from few clients to many."""
    for port in ports.values():
        put_load(Phase(port, max(scope.clients), scope.warm_up, beam_size), texts)
    found: dict[tuple[str, int], list[list[Answer]]] = {}
    for _, clients in itertools.product(range(scope.rounds), scope.clients):
        for name, port in ports.items():
            bar.set_description(f"beam {beam_size}, {clients} clients, {name}")
            answers = put_load(Phase(port, clients, scope.seconds, beam_size), texts)
            found.setdefault((name, clients), []).append(answers)
            bar.update()
    return [
        serving_page.load_of(name, beam_size, clients, rounds, scope.seconds)
        for (name, clients), rounds in found.items()
    ]


def commands(
    models: Path, converted: Path, bundle: Path, beam_size: int
) -> dict[str, tuple[list[str], dict[str, str]]]:
    """Arguments of Python and variables of each server, by name; all get all cores."""
    cores = str(available_cores())
    tokenizer = bundle / load_bundle(bundle).manifest.vocabulary.source
    peer = ["benchmarks.ctranslate2_app", str(converted), str(tokenizer)]
    peer += ["--beam-size", str(beam_size), "--batching"]
    forced = {ISA: "AVX512"} if "avx512f" in this_machine().instructions else {}
    ours = ["service", "serve", "--models", str(models), "--workers", cores]
    alone = {
        # No text comes twice anyway, but a cache that only stores costs something too.
        "SEQ2SERVE_SENTENCE_CACHE_BYTES": "0",
        # Peers return whatever came out at first.
        "SEQ2SERVE_SECOND_TRIES": "false",
        "SEQ2SERVE_LOG_LEVEL": "warning",
    }
    return {OURS: (ours, alone)} | {
        serving_page.PEERS[batching]: ([*peer, batching], forced) for batching in Batching
    }


def converted_model(plan: Plan, to: Path) -> Path:
    """The bundle's weights as a CTranslate2 model."""
    bundle = load_bundle(plan.weights)
    recipe = load_recipe(RECIPES / bundle.manifest.provenance.recipe)
    assert isinstance(recipe.architecture, TransformerRecipe)
    vocabulary = load_vocabulary(bundle)
    pieces = [vocabulary.source.id_to_piece(i) for i in range(len(vocabulary))]
    convert(read_weights(plan.weights), recipe.architecture, pieces, to)
    return to
