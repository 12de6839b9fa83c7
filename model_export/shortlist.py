"""Adds a vocabulary shortlist to an int8 bundle, unless translations get worse by it."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from model_export.data.corpus import Mixture, read_pairs
from model_export.data.dataset import both_ways
from model_export.export import record_scores
from model_export.graphs.shortlist import split_output_layer
from model_export.lexicon import Corpus, ShortlistSizes, make_table
from model_export.model_card import write_described
from model_export.quantisation import Loss, QualityError, compare_quality
from model_export.recipe import Recipe
from service.engine.bundle import (
    Bundle,
    ShortlistSpec,
    describe_file,
    load_bundle,
    write_manifest,
)
from service.engine.model import Ids
from service.engine.shortlist_table import ShortlistTable, load_table
from service.engine.vocabulary import Vocabulary, language_tag, load_vocabulary

SPEC = ShortlistSpec("shortlist.npz", "shortlist_weights.onnx", "shortlist_decoder.onnx")


def learn_table(
    bundle: Bundle, recipe: Recipe, corpora: Sequence[Path], pairs: int, sizes: ShortlistSizes
) -> ShortlistTable:
    """Learns from the first `pairs` of one epoch of the recipe's mixture, in random order."""
    vocabulary = load_vocabulary(bundle)
    mixture = Mixture(corpora, recipe.train, recipe.languages)
    drawn = mixture.epoch(1, recipe.training.seed)
    chosen = np.random.default_rng(recipe.training.seed).permutation(len(drawn))[: 2 * pairs]
    directions: dict[str, Corpus] = {}
    for i in chosen.tolist():
        file, number, backward = drawn[i]
        example = both_ways(mixture.pairs[file][number], recipe.languages)[backward]
        tag = vocabulary.source.piece_to_id(language_tag(example.target))
        corpus = directions.setdefault(example.target, Corpus(tag, [], []))
        corpus.sources.append(vocabulary.encode_source(example.source_text, example.target))
        corpus.targets.append(vocabulary.target.encode(example.target_text))
    return make_table(list(directions.values()), always_allowed(vocabulary), len(vocabulary), sizes)


def always_allowed(vocabulary: Vocabulary) -> Ids:
    """Pieces of no language: eos, bytes, and what has no letter, such as digits and marks."""
    model = vocabulary.target
    found = [vocabulary.eos_id]
    for i in range(len(vocabulary)):
        text = model.id_to_piece(i).lstrip("▁")
        plain = not any(character.isalpha() for character in text)
        if model.is_byte(i) or (plain and not model.is_control(i) and not model.is_unused(i)):
            found.append(i)
    return np.array(found)


def list_size(bundle: Bundle, pairs: Sequence[Path]) -> float:
    """How many pieces a sentence of these files may choose among, on average."""
    vocabulary, spec = load_vocabulary(bundle), bundle.manifest.vocabulary
    table = load_table(bundle.file(SPEC.table), spec.size, spec.eos_id)
    first = bundle.manifest.directions[0]
    languages = (first.target, first.source)
    sizes = [
        len(np.unique(table.allowed(vocabulary.encode_source(text, language))))
        for path in pairs
        for pair in read_pairs(path)
        for text, language in zip(pair, languages, strict=True)
    ]
    return float(np.mean(sizes))


def add_shortlist(
    path: Path,
    table: ShortlistTable,
    pairs: Sequence[Path],
    tolerance: float,
    report: Callable[[Loss], Any],
) -> Bundle:
    """Adds a table and its graphs to an int8 bundle, in place of an older shortlist.

    Greedy chrF2++ on the pair files is compared with that of the whole vocabulary. Raises
    QualityError if it drops by more than `tolerance` points anywhere, ShortlistGraphError if the
    decoder has no output layer to shorten; the bundle is as it was then.
    """
    manifest = load_bundle(path).manifest
    if manifest.precision != "int8":
        raise QualityError(f"{path} is {manifest.precision}; only int8 takes a shortlist")
    added = {SPEC.table, SPEC.weights, SPEC.decoder}
    kept = {name: spec for name, spec in manifest.files.items() if name not in added}
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        before, after = Path(name) / "before", Path(name) / "after"
        for folder in (before, after):
            folder.mkdir()
            for file in kept:
                shutil.copyfile(path / file, folder / file)
        write_manifest(before, replace(manifest, files=kept, shortlist=None))
        table.save(after / SPEC.table)
        weights, decoder = split_output_layer(onnx.load(path / manifest.decoder))
        for graph, file in ((weights, SPEC.weights), (decoder, SPEC.decoder)):
            onnx.checker.check_model(graph)
            onnx.save(graph, after / file)
        files = kept | {file: describe_file(after / file) for file in sorted(added)}
        changed = replace(manifest, files=files, shortlist=SPEC, scores=(), confidence=())
        write_described(after, changed)
        record_scores(after, compare_quality(before, after, pairs, tolerance, report))
        for made in after.iterdir():
            made.replace(path / made.name)
    return load_bundle(path)
