"""Tiny models of other libraries with random weights, and SentencePiece models for them."""

import json
import random
from dataclasses import dataclass
from pathlib import Path

import sentencepiece
import torch

LETTERS = "abcdefghijklmnop"


def words(seed: int, count: int) -> list[str]:
    """Made-up words."""
    rng = random.Random(seed)
    return ["".join(rng.choices(LETTERS, k=rng.randint(2, 5))) for _ in range(count)]


def lines(seed: int, count: int = 300) -> list[str]:
    """Made-up sentences of 40 words."""
    rng = random.Random(seed)
    known = words(seed, 40)
    return [" ".join(rng.choices(known, k=rng.randint(2, 9))) for _ in range(count)]


def train_pieces(path: Path, seed: int, size: int = 60, **options) -> list[str]:
    """Writes a SentencePiece model of made-up words -> its ordinary pieces."""
    text = path.with_suffix(".txt")
    text.write_text("\n".join(lines(seed)), "utf-8")
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
    safetensors: bool = True
    seed: int = 0


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
        lists = [["</s>", "<unk>", *like.tags, *source, "<pad>"], ["</s>", "<unk>", *target, "<pad>"]]
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
                parameter.add_(torch.randn_like(parameter) * 0.15)
        model.final_logits_bias.normal_()
        model.final_logits_bias[0, 0] = 3.0  # ends come now and then
    if like.forbid_pad:
        model.generation_config.bad_words_ids = [[pads[1]]]
        model.generation_config.renormalize_logits = True
    model.generation_config.num_beams = 4
    model.save_pretrained(folder)
    return folder
