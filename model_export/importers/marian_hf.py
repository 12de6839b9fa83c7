"""Reads a Hugging Face directory of a Marian model, as OPUS-MT's are kept there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_export.architectures.transformer import Activation, TransformerConfig
from model_export.importers.files import licence_of, numbered, read_object, read_torch
from model_export.importers.imported import Asked, Imported, ImportFaults, Side, Weights
from model_export.importers.opus import choose_languages
from model_export.importers.tensors import Linear, Tensors, attention, linear, sinusoids, some
from model_export.importers.tokenizers import tokenizer_faults
from service.engine.bundle import DecodingDefaults, Origin, describe_file

FORMAT = "Hugging Face Marian directory"
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
ACTIVATIONS: Mapping[str, Activation] = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "swish": "swish",
    "silu": "swish",
}
MOST_BEAMS = 8
"""A default above it is not taken over."""
SIZES = {
    "d_model": 16384,
    "vocab_size": 2_000_000,
    "encoder_layers": 128,
    "decoder_layers": 128,
    "encoder_attention_heads": 512,
    "decoder_attention_heads": 512,
    "encoder_ffn_dim": 131_072,
    "decoder_ffn_dim": 131_072,
}
"""Sizes that a config must give, and how large they may be."""
OPTIONAL_SIZES = ("decoder_vocab_size", "max_position_embeddings")
PLAIN = {
    "do_sample": False,
    "num_beam_groups": 1,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "encoder_no_repeat_ngram_size": 0,
    "min_length": 0,
    "min_new_tokens": None,
    "forced_bos_token_id": None,
    "begin_suppress_tokens": None,
    "diversity_penalty": 0.0,
    "sequence_bias": None,
}
"""Options of generation that are understood at one value only."""


def import_marian_hf(folder: Path, asked: Asked) -> Imported:
    """Raises ImportFaults."""
    faults: list[str] = []
    config = read_object(folder / "config.json", faults)
    tokenizer = read_object(folder / "tokenizer_config.json", []) or {}
    generation = read_object(folder / "generation_config.json", []) or {}
    options = {**(config or {}), **generation}
    unsound = [] if config is None else [*_config_faults(config)]
    faults += [*unsound, *_generation_faults(options)]
    sides = _read_sides(folder, tokenizer, faults)
    weights_file = next((f for n in WEIGHT_FILES if (f := folder / n).is_file()), None)
    if weights_file is None:
        faults.append(f"there is neither {' nor '.join(WEIGHT_FILES)}")
    arrays = read_torch(weights_file, faults) if weights_file else None
    if config is None or unsound or sides is None or weights_file is None or arrays is None:
        raise ImportFaults(folder, faults)
    reader = _Reader(config, sides, options, faults)
    weights = reader.weights(Tensors(arrays, faults))
    names = [str(tokenizer.get(key) or "") for key in ("source_lang", "target_lang")]
    languages = choose_languages(sides[0].pieces, names, asked, faults)
    special = reader.special_pieces()
    if faults:
        raise ImportFaults(folder, faults)
    licence = asked.licence or licence_of(folder) or "unknown"
    return Imported(
        config=reader.transformer(),
        weights=weights,
        source=sides[0],
        target=sides[1],
        sources=languages.sources,
        targets=languages.targets,
        layout=languages.layout,
        origin=Origin(FORMAT, folder.name, licence, describe_file(weights_file).sha256),
        pad=special.pad,
        start=special.start,
        forbidden=special.forbidden,
        decoding=_decoding(options),
    )


def _config_faults(config: Mapping[str, Any]) -> Iterator[str]:
    if config.get("model_type") != "marian":
        yield f"config.json: model_type {config.get('model_type')!r} is not supported; marian is"
        return
    for name, most in SIZES.items():
        value = config.get(name)
        if not isinstance(value, int) or not 0 < value <= most:
            yield f"config.json: {name} is {value!r}, not a number from 1 to {most}"
    for name in OPTIONAL_SIZES:
        if not isinstance(config.get(name) or 0, int):
            yield f"config.json: {name} is {config[name]!r}, not a number"
    activation = config.get("activation_function")
    if activation not in ACTIVATIONS:
        yield f"config.json: activation_function {activation!r} is not supported"
    for first, second in (
        ("encoder_attention_heads", "decoder_attention_heads"),
        ("encoder_ffn_dim", "decoder_ffn_dim"),
    ):
        if config.get(first) != config.get(second):
            yield f"config.json: {first} and {second} differ, which is not supported"
    width, heads = config.get("d_model"), config.get("encoder_attention_heads")
    if isinstance(width, int) and isinstance(heads, int) and heads > 0 and width % (2 * heads):
        yield f"config.json: d_model {width} is not a multiple of twice the {heads} heads"
    for name in ("normalize_before", "normalize_embedding", "add_final_layer_norm"):
        if config.get(name):
            yield f"config.json: {name} is not supported"


def _generation_faults(options: Mapping[str, Any]) -> Iterator[str]:
    for name, plain in PLAIN.items():
        value = options.get(name, plain)
        if value not in (plain, None):
            yield f"generation: {name} {value!r} is not supported"
    bad = options.get("bad_words_ids") or []
    if not isinstance(bad, list) or any(not isinstance(b, list) or len(b) != 1 for b in bad):
        yield "generation: bad_words_ids of several pieces are not supported"
    if not isinstance(options.get("suppress_tokens") or [], list):
        yield f"generation: suppress_tokens {options['suppress_tokens']!r} is not a list"


def _read_sides(
    folder: Path, tokenizer: Mapping[str, Any], faults: list[str]
) -> tuple[Side, Side] | None:
    files = [
        "vocab.json",
        "target_vocab.json" if tokenizer.get("separate_vocabs") else "vocab.json",
    ]
    faults += [
        f"{n} is missing" for n in ("source.spm", "target.spm") if not (folder / n).is_file()
    ]
    sides = []
    for name, spm in zip(files, ("source.spm", "target.spm"), strict=True):
        found = read_object(folder / name, faults)
        pieces = numbered(found, name, faults) if found is not None else None
        if pieces is not None:
            sides.append(Side(folder / spm, pieces, "<unk>", "</s>"))
            faults += tokenizer_faults(sides[-1])
    return (sides[0], sides[1]) if len(sides) == 2 else None


def _decoding(options: Mapping[str, Any]) -> DecodingDefaults:
    beams = options.get("num_beams")
    return (
        DecodingDefaults(beam_size=beams)
        if isinstance(beams, int) and 0 < beams <= MOST_BEAMS
        else DecodingDefaults()
    )


@dataclass(frozen=True, slots=True)
class _Special:
    pad: str | None
    start: str | None
    forbidden: frozenset[str]


class _Reader:
    """Weights and special pieces by the names of a config that is sound."""

    def __init__(
        self,
        config: Mapping[str, Any],
        sides: tuple[Side, Side],
        options: Mapping[str, Any],
        faults: list[str],
    ) -> None:
        self.config, self.sides, self.options, self.faults = config, sides, options, faults
        self.shared = config.get("share_encoder_decoder_embeddings", True)
        self.tied = config.get("tie_word_embeddings", True)
        self.width: int = config["d_model"]
        sizes = config["vocab_size"], config.get("decoder_vocab_size") or config["vocab_size"]
        for side, size, name in zip(
            sides, sizes, ("vocab_size", "decoder_vocab_size"), strict=True
        ):
            if len(side.pieces) != size:
                faults.append(f"{name} is {size}, the vocabulary has {len(side.pieces)} pieces")
        self.sizes = sizes
        self.positions = max(2, min(config.get("max_position_embeddings") or 1024, 1024))

    def transformer(self) -> TransformerConfig:
        """The config in our words."""
        return TransformerConfig(
            source_vocabulary_size=self.sizes[0],
            target_vocabulary_size=self.sizes[1],
            pad_id=0,
            width=self.width,
            feed_forward_width=self.config["encoder_ffn_dim"],
            heads=self.config["encoder_attention_heads"],
            encoder_layers=self.config["encoder_layers"],
            decoder_layers=self.config["decoder_layers"],
            activation=ACTIVATIONS[self.config["activation_function"]],
            position_layout="table",
            positions=self.positions,
            scale_embeddings=bool(self.config.get("scale_embedding")),
            share_embeddings=False,
            tie_output=bool(self.tied),
            output_bias=True,
        )

    def special_pieces(self) -> _Special:
        """Pad, start and what is never said; ids that no piece has are faults."""

        def piece(side: int, name: str, number: Any) -> str | None:
            pieces = self.sides[side].pieces
            if isinstance(number, int) and 0 <= number < len(pieces):
                return pieces[number]
            self.faults.append(f"{name} {number!r} is no id of the vocabulary")
            return None

        end = piece(1, "eos_token_id", self.options.get("eos_token_id", 0))
        if end is not None and end != self.sides[1].eos:
            self.faults.append(f"eos_token_id is {end}, not {self.sides[1].eos}")
        words, suppressed = (
            listed if isinstance(listed := self.options.get(key), list) else []
            for key in ("bad_words_ids", "suppress_tokens")
        )
        bad = [each[0] for each in words if isinstance(each, list) and len(each) == 1]
        bad += suppressed
        pad_id = self.config.get("pad_token_id")
        start_id = self.options.get("decoder_start_token_id", pad_id)
        return _Special(
            piece(0, "pad_token_id", pad_id),
            piece(1, "decoder_start_token_id", start_id),
            frozenset(p for number in bad if (p := piece(1, "bad_words_ids", number))),
        )

    def weights(self, tensors: Tensors) -> Weights:
        """All weights by our names; what is missing or left over is a fault."""
        source, target = self.sizes
        shared, width = ["model.shared.weight"], self.width
        read, said = ["model.encoder.embed_tokens.weight"], ["model.decoder.embed_tokens.weight"]
        if self.shared:
            read = said = [*shared, *read, *said, "lm_head.weight"]
        elif self.tied:
            said = [*said, "lm_head.weight"]
        weights = {
            "source_embedding.weight": tensors.first(read, source, width),
            "target_embedding.weight": tensors.first(said, target, width),
            "source_positions.weight": sinusoids(self.positions, width),
            "target_positions.weight": sinusoids(self.positions, width),
            "output.bias": tensors.take("final_logits_bias", target),
        }
        tensors.ignore(*shared, *said)
        tensors.ignore(*(f"model.{side}.embed_positions.weight" for side in ("encoder", "decoder")))
        if not self.tied:
            weights["output.weight"] = tensors.take("lm_head.weight", target, width)
        tensors.ignore("lm_head.weight")
        for side in ("encoder", "decoder"):
            for number in range(self.config[f"{side}_layers"]):
                weights |= self.layer(tensors, f"model.{side}.layers.{number}", f"{side}.{number}")
        if tensors.unread:
            self.faults.append(f"weights that are not understood: {some(tensors.unread)}")
        return weights

    def layer(self, tensors: Tensors, theirs: str, ours: str) -> Weights:
        """One layer of encoder or decoder."""
        width, inner = self.width, self.config["encoder_ffn_dim"]

        def take(name: str, *shape: int) -> Linear:
            name = f"{theirs}.{name}"
            return tensors.take(f"{name}.weight", *shape), tensors.take(f"{name}.bias", shape[0])

        def attend(name: str, to: str) -> Weights:
            parts = (take(f"{name}.{part}_proj", width, width) for part in ("q", "k", "v", "out"))
            norm = linear(f"{ours}.{to}_norm.norm", take(f"{name}_layer_norm", width))
            return {**attention(f"{ours}.{to}", *parts), **norm}

        cross = attend("encoder_attn", "cross_attention") if ours.startswith("decoder") else {}
        return {
            **attend("self_attn", "self_attention"),
            **cross,
            **linear(f"{ours}.feed_forward.inner", take("fc1", inner, width)),
            **linear(f"{ours}.feed_forward.outer", take("fc2", width, inner)),
            **linear(f"{ours}.feed_forward_norm.norm", take("final_layer_norm", width)),
        }
