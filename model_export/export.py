"""Makes a bundle of a training run: averaged weights, two graphs, tokenizer, manifest, card."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from model_export import checkpoint
from model_export.architectures import build_model
from model_export.architectures.model import TranslationModel
from model_export.architectures.transformer import Transformer
from model_export.graphs.aligner import AlignerGraph
from model_export.graphs.fused_transformer import FusedTransformer
from model_export.graphs.module import export_graphs, graph_weights, round_weights, save_graph
from model_export.model_card import write_described
from model_export.parity import TRACE, SentenceTrace, record_trace, write_trace
from model_export.recipe import Recipe
from model_export.torch_model import TorchModel
from service.engine.bundle import (
    FORMAT_VERSION,
    MANIFEST,
    DataSet,
    Direction,
    Limits,
    Manifest,
    Provenance,
    Score,
    StateSpec,
    VocabularySpec,
    describe_file,
    load_bundle,
    read_manifest,
)
from service.engine.vocabulary import Vocabulary

TOKENIZER, ENCODER, DECODER = "tokenizer.model", "encoder.onnx", "decoder.onnx"
ALIGNER = "aligner.onnx"
START = "start"
"""Folder inside a run that started from a bundle: holds that bundle's manifest."""
REFERENCE_SENTENCES = 12
REFERENCE_LENGTH = 24


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder, or a bundle, read back: what was trained, on what, and how far, the bundle that
    the run started from included."""

    recipe: Recipe
    vocabulary: Vocabulary
    model: TranslationModel
    updates: int
    target_tokens: int
    folder: Path
    data: tuple[DataSet, ...] = ()


def load_run(recipe: Recipe, folder: Path, data: Sequence[DataSet] = ()) -> Run:
    """The mean of a run's last weights, trained on `data`, rounded as the bundle will store them;
    or the weights of a float32 bundle, whose graphs are to be written anew; it knows its data.

    Raises WeightsError when nothing has been trained yet, or BundleError.
    """
    vocabulary = Vocabulary(folder / TOKENIZER)
    model = build_model(recipe.architecture, len(vocabulary), vocabulary.pad_id)
    if (folder / MANIFEST).exists():
        checkpoint.load_into(model, bundle_weights(folder))
        made = load_bundle(folder).manifest.provenance
        updates, tokens, data = made.updates, made.target_tokens, made.data
    else:
        start = started_from(folder)
        paths = checkpoint.newest(folder / "weights", recipe.training.average_last)
        model.load_state_dict(checkpoint.average(paths))
        saved = checkpoint.load(folder / "checkpoint.pt")
        updates, tokens = saved["update"] + start.updates, saved["tokens"] + start.target_tokens
        data = joined(data, start.data)
    round_weights(model)
    return Run(recipe, vocabulary, model.eval(), updates, tokens, folder, tuple(data))


def remember_start(folder: Path, bundle: Path) -> None:
    """Makes a new run in `folder` know the bundle whose weights and tokenizer it begins with."""
    (folder / START).mkdir(parents=True, exist_ok=True)
    shutil.copyfile(bundle / TOKENIZER, folder / TOKENIZER)
    shutil.copyfile(bundle / MANIFEST, folder / START / MANIFEST)


def started_from(folder: Path) -> Provenance:
    """Where the weights came from that a run began with; from nowhere, for most runs.

    Raises BundleError when the manifest that it keeps cannot be read.
    """
    if not (folder / START).exists():
        return Provenance("", 0, 0, ())
    return read_manifest(folder / START).provenance


def joined(first: Sequence[DataSet], second: Sequence[DataSet]) -> tuple[DataSet, ...]:
    """Both lists, what has a name of the first only once."""
    names = {each.name for each in first}
    return (*first, *(each for each in second if each.name not in names))


def averaged_with(run: Run, bundle: Path) -> Run:
    """The mean of a run's weights and those of the float32 bundle that it started from, which is
    often better than both (Wortsman et al. 2022, "Model soups").

    Raises BundleError or WeightsError.
    """
    own = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    checkpoint.load_into(run.model, bundle_weights(bundle))
    others = run.model.state_dict()
    run.model.load_state_dict({name: (own[name] + others[name]) / 2 for name in own})
    round_weights(run.model)
    return replace(run, data=joined(run.data, load_bundle(bundle).manifest.provenance.data))


def bundle_weights(path: Path) -> checkpoint.Weights:
    """The weights inside a bundle's graphs, by the names that the module gives them."""
    weights: checkpoint.Weights = {}
    bundle = load_bundle(path)
    for file in (bundle.manifest.encoder, bundle.manifest.decoder):
        weights |= graph_weights(bundle.file(file))
    return weights


def export_run(run: Run, bundle: Path, sentences: list[tuple[str, str]]) -> Manifest:
    """Writes the bundle directory, replacing an older one only when the new one is whole.

    `sentences` are (text, target language) pairs whose PyTorch trace goes into the bundle.
    """
    bundle.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=bundle.parent) as name:
        folder = Path(name)
        state, aligner = write_graphs(run, folder)
        shutil.copyfile(run.folder / TOKENIZER, folder / TOKENIZER)
        write_trace(folder / TRACE, reference_trace(run, sentences))
        manifest = make_manifest(run, folder, state, aligner)
        write_described(folder, manifest)
        bundle.mkdir(exist_ok=True)
        for file in folder.iterdir():
            file.replace(bundle / file.name)
    return manifest


def write_graphs(run: Run, folder: Path) -> tuple[tuple[StateSpec, ...], str | None]:
    """Writes the graphs -> what the decoder's state is, and which file aligns.

    A Transformer is served by fused graphs, and has another decoder for alignment.
    """
    if isinstance(run.model, Transformer):
        return write_transformer(run.model, folder, 2 * run.recipe.training.max_length + 1)
    export_graphs(run.model, folder / ENCODER, folder / DECODER)
    return run.model.state_specs(), DECODER if run.model.aligns else None


def write_transformer(
    model: Transformer, folder: Path, longest: int
) -> tuple[tuple[StateSpec, ...], str]:
    """Writes the fused graphs and the aligner, for `longest` positions."""
    fused = FusedTransformer(model, longest)
    save_graph(fused.encoder(), folder / ENCODER)
    save_graph(fused.decoder(), folder / DECODER)
    save_graph(AlignerGraph(model, longest).aligner(), folder / ALIGNER)
    return fused.state_specs(), ALIGNER


def reference_trace(run: Run, sentences: list[tuple[str, str]]) -> tuple[SentenceTrace, ...]:
    """What PyTorch makes of the sentences."""
    sources = [run.vocabulary.encode_source(text, language) for text, language in sentences]
    ids = run.vocabulary.bos_id, run.vocabulary.eos_id
    model = TorchModel(run.model, run.vocabulary.pad_id)
    return record_trace(model, sources, ids, REFERENCE_LENGTH)


def make_manifest(
    run: Run,
    folder: Path,
    state: tuple[StateSpec, ...],
    aligner: str | None,
) -> Manifest:
    """Describes the files in `folder` and the run behind them."""
    recipe, vocabulary = run.recipe, run.vocabulary
    files = sorted(path.name for path in folder.iterdir())
    return Manifest(
        format_version=FORMAT_VERSION,
        name=recipe.name,
        version=recipe.version,
        architecture=recipe.architecture.kind,
        parameters=sum(p.numel() for p in run.model.parameters()),
        precision="float32",
        directions=tuple(Direction(*direction) for direction in recipe.directions),
        vocabulary=VocabularySpec(
            TOKENIZER,
            TOKENIZER,
            len(vocabulary),
            vocabulary.pad_id,
            vocabulary.bos_id,
            vocabulary.eos_id,
        ),
        encoder=ENCODER,
        decoder=DECODER,
        state=state,
        aligner=aligner,
        limits=Limits(recipe.training.max_length, 2 * recipe.training.max_length),
        decoding=recipe.decoding,
        provenance=Provenance(recipe.file, run.updates, run.target_tokens, run.data),
        scores=(),
        files={name: describe_file(folder / name) for name in files},
    )


def record_scores(bundle: Path, scores: tuple[Score, ...]) -> None:
    """Puts evaluation scores into a bundle's manifest and card, in place of older ones alike."""
    manifest = load_bundle(bundle).manifest

    def key(score: Score) -> tuple[str, ...]:
        return score.data, score.direction, score.decoding, score.metric

    merged = {key(score): score for score in (*manifest.scores, *scores)}
    manifest = replace(manifest, scores=tuple(merged.values()))
    write_described(bundle, manifest)
