"""Tiny models of other libraries with random weights, and SentencePiece models for them."""

import json
import random
from dataclasses import dataclass
from pathlib import Path

import sentencepiece
import torch

LETTERS = "abcdefghijklmnop"


def words(seed: int, count: int, letters: str = LETTERS) -> list[str]:
    """Made-up words."""
    rng = random.Random(seed)
    return ["".join(rng.choices(letters, k=rng.randint(2, 5))) for _ in range(count)]


def lines(seed: int, count: int = 300, letters: str = LETTERS) -> list[str]:
    """Made-up sentences of 40 words."""
    rng = random.Random(seed)
    known = words(seed, 40, letters)
    return [" ".join(rng.choices(known, k=rng.randint(2, 9))) for _ in range(count)]


def train_pieces(
    path: Path, seed: int, size: int = 60, letters: str = LETTERS, **options
) -> list[str]:
    """Writes a SentencePiece model of made-up words -> its ordinary pieces."""
    text = path.with_suffix(".txt")
    text.write_text("\n".join(lines(seed, letters=letters)), "utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        model_prefix=str(path.with_suffix("")),
        vocab_size=size,
        bos_id=-1,
        eos_id=1,
        unk_id=0,
        character_coverage=1.0,
        minloglevel=2,
        num_threads=1,
        hard_vocab_limit=False,
        **options,
    )
    path.with_suffix(".model").replace(path)
    text.unlink()
    path.with_suffix(".vocab").unlink()
    model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    return [
        model.id_to_piece(i)
        for i in range(len(model))
        if not (model.is_control(i) or model.is_unknown(i))
    ]


def spread(name: str) -> float:
    """The standard deviation of a weight. Norms of either sign keep a tied model from repeating
    itself for ever."""
    if "norm" in name:
        return 1.0 if name.endswith("weight") else 0.1
    return 0.4 if "embed" in name or "shared" in name else 0.3


@dataclass(frozen=True)
class Marian:
    """What a tiny MarianMTModel is like."""

    shared: bool = True
    tied: bool = True
    activation: str = "swish"
    scale: bool = True
    tags: tuple[str, ...] = ()
    forbid_pad: bool = True
    encoder_layers: int = 2
    decoder_layers: int = 2
    pickled: bool = False
    half: bool = False
    """Saved as float16."""
    bias: bool = True
    seed: int = 0
    end: float = 3.0
    """The output bias of the end, so that sentences come to it now and then."""


def make_marian(folder: Path, like: Marian) -> Path:
    """Saves a MarianMTModel with its tokenizer files, as OPUS-MT's are."""
    from transformers import MarianConfig, MarianMTModel

    folder.mkdir(parents=True, exist_ok=True)
    source = train_pieces(folder / "source.spm", like.seed)
    target = train_pieces(folder / "target.spm", like.seed + 1)
    rng = random.Random(like.seed)
    if like.shared:
        pieces = sorted({*source, *target})
        rng.shuffle(pieces)
        lists = [["</s>", "<unk>", *like.tags, *pieces, "<pad>"]] * 2
    else:
        rng.shuffle(source)
        rng.shuffle(target)
        lists = [
            ["</s>", "<unk>", *like.tags, *source, "<pad>"],
            ["</s>", "<unk>", *target, "<pad>"],
        ]
    for name, pieces in zip(("vocab.json", "target_vocab.json"), lists, strict=True):
        ids = {piece: i for i, piece in enumerate(pieces)}
        (folder / name).write_text(json.dumps(ids), "utf-8")
    if like.shared:
        (folder / "target_vocab.json").unlink()
    tokenizer = {"source_lang": "eng", "target_lang": "deu", "separate_vocabs": not like.shared}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer), "utf-8")
    torch.manual_seed(like.seed)
    pads = [len(pieces) - 1 for pieces in lists]
    config = MarianConfig(
        vocab_size=len(lists[0]),
        decoder_vocab_size=len(lists[1]),
        d_model=32,
        encoder_layers=like.encoder_layers,
        decoder_layers=like.decoder_layers,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        activation_function=like.activation,
        scale_embedding=like.scale,
        max_position_embeddings=128,
        share_encoder_decoder_embeddings=like.shared,
        tie_word_embeddings=like.tied,
        pad_token_id=pads[0],
        decoder_start_token_id=pads[1],
        eos_token_id=0,
        forced_eos_token_id=0,
    )
    model = MarianMTModel(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "embed_positions" not in name:
                parameter.normal_(std=spread(name))
        if like.bias:
            model.final_logits_bias.normal_(std=0.1)
            model.final_logits_bias[0, 0] = like.end
    if like.half:
        model.half()
    if like.forbid_pad:
        model.generation_config.bad_words_ids = [[pads[1]]]
        model.generation_config.renormalize_logits = True
    model.generation_config.num_beams = 4
    model.save_pretrained(folder)
    if like.pickled:
        (folder / "model.safetensors").unlink()
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return folder


@dataclass(frozen=True)
class OpenNmt:
    """What a tiny CTranslate2 model is like."""

    pre_norm: bool = True
    relative: bool = False
    normed: bool = False
    activation: str = "RELU"
    quantization: str | None = None
    shared: bool = True
    tied: bool = True
    encodings: bool = False
    zero_start: bool = False
    source_eos: bool = False
    bias: bool = True
    scale_embeddings: float | bool | None = None
    layers: tuple[int, int] = (2, 1)
    seed: int = 0
    end: float = 3.0


def make_ctranslate2(folder: Path, like: OpenNmt) -> Path:
    """Saves a CTranslate2 model with random weights, and SentencePiece models in the directory."""
    import ctranslate2
    import numpy as np

    folder.mkdir(parents=True, exist_ok=True)
    special = ["<blank>", "<unk>", "<s>", "</s>"]
    source = train_pieces(folder / "source.spm", like.seed)
    target = train_pieces(folder / "target.spm", like.seed + 1)
    if like.shared:
        source = target = sorted({*source, *target})
    else:
        source = source[5:]  # what the list lacks is unknown
    specs = ctranslate2.specs
    spec = specs.TransformerSpec.from_config(
        like.layers,
        4,
        with_relative_position=like.relative,
        pre_norm=like.pre_norm,
        activation=specs.common_spec.Activation[like.activation],
        layernorm_embedding=like.normed,
    )
    rng = np.random.default_rng(like.seed)
    width, inner, longest = 32, 48, 4

    def random_weight(*shape: int, scale: float = 0.3):
        return rng.normal(0, scale, shape).astype("float32")

    def norm(spec) -> None:
        spec.gamma = random_weight(width, scale=1)
        spec.beta = random_weight(width, scale=0.1)

    def linear(spec, out: int, size: int) -> None:
        spec.weight = random_weight(out, size)
        if like.bias:
            spec.bias = random_weight(out)

    def attention(spec, sizes: tuple[int, ...]) -> None:
        norm(spec.layer_norm)
        for each, size in zip(spec.linear, sizes, strict=True):
            linear(each, size, width)
        if hasattr(spec, "relative_position_keys"):
            spec.relative_position_keys = random_weight(2 * longest + 1, width // 4, scale=1)
            spec.relative_position_values = random_weight(2 * longest + 1, width // 4, scale=1)

    sides = (spec.encoder, [*special, *source]), (spec.decoder, [*special, *target])
    for part, pieces in sides:
        table = part.embeddings[0] if part is spec.encoder else part.embeddings
        table.weight = random_weight(len(pieces), width, scale=0.4)
        if like.relative:
            part.scale_embeddings = False
        elif like.encodings:
            part.position_encodings.encodings = random_weight(100, width)
        if like.pre_norm:
            norm(part.layer_norm)
        if like.normed:
            norm(part.layernorm_embedding)
        for layer in part.layer:
            attention(layer.self_attention, (3 * width, width))
            if part is spec.decoder:
                attention(layer.attention, (width, 2 * width, width))
            norm(layer.ffn.layer_norm)
            linear(layer.ffn.linear_0, inner, width)
            linear(layer.ffn.linear_1, width, inner)
    if like.shared:
        spec.decoder.embeddings.weight = spec.encoder.embeddings[0].weight
    table = spec.decoder.embeddings.weight
    spec.decoder.projection.weight = table if like.tied else random_weight(*table.shape)
    bias = random_weight(len(table), scale=0.1)
    bias[3] = like.end
    spec.decoder.projection.bias = bias
    spec.decoder.start_from_zero_embedding = like.zero_start
    if like.scale_embeddings is not None:
        for part, _ in sides:
            part.scale_embeddings = like.scale_embeddings
    spec.config.add_source_eos = like.source_eos
    spec.register_source_vocabulary(sides[0][1])
    spec.register_target_vocabulary(sides[1][1])
    spec.validate()
    spec.optimize(quantization=like.quantization)
    spec.save(str(folder))
    return folder


MARIAN_OPTIONS = {
    "type": "transformer",
    "dim-emb": 32,
    "transformer-heads": 4,
    "transformer-dim-ffn": 48,
    "enc-depth": 2,
    "dec-depth": 1,
    "transformer-ffn-activation": "swish",
    "transformer-decoder-autoreg": "self-attention",
    "transformer-no-projection": False,
    "transformer-preprocess": "",
    "transformer-postprocess": "dan",
    "transformer-postprocess-emb": "d",
    "transformer-guided-alignment-layer": "last",
    "transformer-tied-layers": [],
}


def make_marian_npz(folder: Path, seed: int = 0, end: float = 3.0, **options) -> Path:
    """Writes a raw Marian directory with separate vocabularies, by hand."""
    import numpy as np
    import yaml

    folder.mkdir(parents=True, exist_ok=True)
    options = {**MARIAN_OPTIONS, **options}
    rng = np.random.default_rng(seed)
    width, inner = options["dim-emb"], options["transformer-dim-ffn"]
    sizes = []
    for number, side in enumerate(("source", "target")):
        pieces = ["</s>", "<unk>", *train_pieces(folder / f"{side}.spm", seed + number)]
        pieces += ['quo"te', "it's", "a: b"]
        listing = "".join(
            f"{json.dumps(piece, ensure_ascii=False)}: {i}\n" for i, piece in enumerate(pieces)
        )
        (folder / f"{side}.vocab.yml").write_text(listing, "utf-8")
        sizes.append(len(pieces))
    weights = {}

    def add(name: str, *shape: int) -> None:
        weights[name] = rng.normal(0, 0.4 if "Wemb" in name else 0.3, shape).astype("float32")

    suffix = "_pre" if "n" in options["transformer-preprocess"] else ""

    def layer_norm(name: str, suffix: str) -> None:
        for part, scale in (("scale", 1), ("bias", 0.1)):
            values = rng.normal(0, scale, (1, width))
            weights[f"{name}_ln_{part}{suffix}"] = values.astype("float32")

    def attention(name: str) -> None:
        for part in "qkvo":
            add(f"{name}_W{part}", width, width)
            add(f"{name}_b{part}", 1, width)
        layer_norm(f"{name}_Wo", suffix)

    add("encoder_Wemb", sizes[0], width)
    add("decoder_Wemb", sizes[1], width)
    add("decoder_ff_logit_out_b", 1, sizes[1])
    weights["decoder_ff_logit_out_b"] *= 0.3
    weights["decoder_ff_logit_out_b"][0, 0] = end
    for side, depth in (("encoder", "enc-depth"), ("decoder", "dec-depth")):
        if suffix:
            layer_norm(f"{side}_top", "")
        if "n" in options["transformer-postprocess-emb"]:
            layer_norm(f"{side}_emb", "_pre")
        for number in range(1, options[depth] + 1):
            name = f"{side}_l{number}"
            attention(f"{name}_self")
            if side == "decoder":
                attention(f"{name}_context")
            add(f"{name}_ffn_W1", width, inner)
            add(f"{name}_ffn_b1", 1, inner)
            add(f"{name}_ffn_W2", inner, width)
            add(f"{name}_ffn_b2", 1, width)
            layer_norm(f"{name}_ffn_ffn", suffix)
    text = yaml.safe_dump(options).encode() + b"\0"
    weights["special:model.yml"] = np.frombuffer(text, dtype=np.int8)
    np.savez(folder / "model.npz", **weights)
    decoder = {"models": ["model.npz"], "vocabs": ["source.vocab.yml", "target.vocab.yml"]}
    (folder / "decoder.yml").write_text(yaml.safe_dump(decoder), "utf-8")
    return folder
