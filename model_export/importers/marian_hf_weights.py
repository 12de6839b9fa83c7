"""A Hugging Face Marian directory's weights by our names, and its special pieces."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model_export.architectures.transformer import Activation, TransformerConfig
from model_export.importers.imported import Array, Side, Weights
from model_export.importers.tensors import Linear, Tensors, attention, linear, sinusoids, some

ACTIVATIONS: Mapping[str, Activation] = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "swish": "swish",
    "silu": "swish",
}
POSITIONS = 1024
"""Those of a model that does not tell, and the most that are taken."""


@dataclass(frozen=True, slots=True)
class Special:
    """Pieces that mean something; None where the ids that were told are those of no piece."""

    pad: str | None
    start: str | None
    forbidden: frozenset[str]


class ConfigReader:
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
        self.positions = min(config.get("max_position_embeddings") or POSITIONS, POSITIONS)

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

    def special_pieces(self) -> Special:
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
        return Special(
            piece(0, "pad_token_id", pad_id),
            piece(1, "decoder_start_token_id", start_id),
            frozenset(p for number in bad if (p := piece(1, "bad_words_ids", number))),
        )

    def weights(self, tensors: Tensors) -> Weights:
        """All weights by our names; what is missing or left over is a fault."""
        (source, target), width = self.sizes, self.width
        read, said = self.tables()
        weights = {
            "source_embedding.weight": tensors.first(read, source, width),
            "target_embedding.weight": tensors.first(said, target, width),
            "source_positions.weight": self.places(tensors, "encoder"),
            "target_positions.weight": self.places(tensors, "decoder"),
            "output.bias": tensors.take("final_logits_bias", target),
        }
        if not self.tied:
            weights["output.weight"] = tensors.take("lm_head.weight", target, width)
        tensors.ignore("model.shared.weight", "lm_head.weight")
        for side in ("encoder", "decoder"):
            for number in range(self.config[f"{side}_layers"]):
                weights |= self.layer(tensors, f"model.{side}.layers.{number}", f"{side}.{number}")
        if tensors.unread:
            self.faults.append(f"weights that are not understood: {some(tensors.unread)}")
        return weights

    def tables(self) -> tuple[list[str], list[str]]:
        """Names that the tables of source and target may go by, the first that is there counts.

        Tied ones are one table. Files of older versions tell a shared one by its own name alone.
        """
        shared, head = "model.shared.weight", "lm_head.weight"
        read, said = (f"model.{side}.embed_tokens.weight" for side in ("encoder", "decoder"))
        if self.tied and self.shared:
            return [shared, read, said, head], [shared, read, said, head]
        if self.shared:
            return [read, shared, said], [said, shared, read]
        return [read], [said, head] if self.tied else [said]

    def places(self, tensors: Tensors, side: str) -> Array:
        """The table of positions: the file's, if it has one, as the library takes it."""
        count = self.config.get("max_position_embeddings") or POSITIONS
        found = tensors.maybe(f"model.{side}.embed_positions.weight", count, self.width)
        return sinusoids(self.positions, self.width) if found is None else found[: self.positions]

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
