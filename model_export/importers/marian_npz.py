"""Reads a raw Marian directory, as OPUS-MT packages it: decoder.yml, an archive of weights that
holds its own options, vocabularies, SentencePiece models."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from model_export.architectures.transformer import Activation, TransformerConfig
from model_export.importers.bounds import is_size
from model_export.importers.files import (
    licence_of,
    read_marian_vocabulary,
    read_npz,
    read_yaml,
    shown,
)
from model_export.importers.imported import Array, Asked, Imported, ImportFaults, Side, Weights
from model_export.importers.opus import choose_languages
from model_export.importers.tensors import Tensors, attention, linear, sinusoids, some
from model_export.importers.tokenizers import tokenizer_faults
from service.engine.bundle import Origin, describe_file

FORMAT = "Marian directory"
OPTIONS = "special:model.yml"
POSITIONS = 1024
ACTIVATIONS: Mapping[str, Activation] = {
    "relu": "relu",
    "gelu": "gelu_sigmoid",
    "swish": "swish",
}
USUAL_ACTIVATION = "swish"
"""Marian's own, where its options name none."""
UNDERSTOOD: Mapping[str, tuple[Any, ...]] = {
    "type": ("transformer",),
    "transformer-ffn-activation": tuple(ACTIVATIONS),
    "transformer-decoder-autoreg": ("self-attention",),
    "transformer-no-projection": (False,),
    "transformer-no-bias": (False,),
    "transformer-no-affine": (False,),
    "transformer-rnn-projection": (False,),
    "transformer-tied-layers": ([], None),
    "transformer-ffn-depth": (2,),
    "transformer-decoder-ffn-depth": (0, 2),
    "transformer-dim-decoder-ffn": (0,),
    "transformer-postprocess-emb": ("", "d", "n", "nd"),
    "transformer-pool": (False,),
    "dim-emb-factors": (0, None),
    "lemma-dim-emb": (0,),
    "ulr": (False,),
}
"""Options that are understood at some values only; those that are absent are as usual."""
NORMS = {
    ("", "dan", ""): "post",
    ("n", "da", "n"): "pre",
}
"""Where layers are normalised: options preprocess, postprocess, postprocess-top."""


def import_marian_npz(folder: Path, asked: Asked) -> Imported:
    """Raises ImportFaults."""
    faults: list[str] = []
    decoder = _read_decoder(folder, faults)
    sides = _read_sides(folder, decoder, faults)
    archive = next(iter(_named(folder, decoder, "models", faults)), None)
    arrays = read_npz(archive, faults) if archive is not None else None
    options = _read_options(arrays, faults) if arrays is not None else None
    unsound = [] if options is None else [*_option_faults(options)]
    faults += unsound
    if archive is None or arrays is None or options is None or sides is None or unsound:
        raise ImportFaults(folder, faults)
    plain = {name: array for name, array in arrays.items() if not name.startswith("special:")}
    reader = _Reader(options, sides, faults)
    weights = reader.weights(Tensors(plain, faults))
    languages = choose_languages(sides[0].pieces, ("", ""), asked, faults)
    if faults:
        raise ImportFaults(folder, faults)
    licence = asked.licence or licence_of(folder) or "unknown"
    return Imported(
        config=reader.transformer("output.weight" not in weights),
        weights=weights,
        source=sides[0],
        target=sides[1],
        sources=languages.sources,
        targets=languages.targets,
        layout=languages.layout,
        library_ends=True,
        origin=Origin(FORMAT, folder.name, licence, describe_file(archive).sha256),
    )


def _read_decoder(folder: Path, faults: list[str]) -> Mapping[str, Any]:
    path = folder / "decoder.yml"
    if not path.is_file():
        faults.append("decoder.yml is missing")
        return {}
    return read_yaml(path.read_text("utf-8", "replace"), path.name, faults) or {}


def _named(folder: Path, decoder: Mapping[str, Any], key: str, faults: list[str]) -> Iterator[Path]:
    """The files that decoder.yml names under a key; none may lie elsewhere."""
    if not decoder:
        return
    names = decoder.get(key)
    if not isinstance(names, list) or not names:
        faults.append(f"decoder.yml names no {key}")
        return
    if key == "models" and len(names) > 1:
        faults.append(f"decoder.yml: an ensemble of {len(names)} models is not supported")
    for name in names:
        if not isinstance(name, str):
            faults.append(f"decoder.yml: {shown(name)} is no name of a file")
        elif Path(name).name != name:
            faults.append(f"decoder.yml: {name} is not a file of the directory")
        elif not (folder / name).is_file():
            faults.append(f"{name} is missing")
        else:
            yield folder / name


def _read_sides(
    folder: Path, decoder: Mapping[str, Any], faults: list[str]
) -> tuple[Side, Side] | None:
    vocabularies = [*_named(folder, decoder, "vocabs", faults)]
    if (folder / "source.bpe").is_file():
        faults.append("source.bpe: pieces of subword-nmt are not supported, SentencePiece is")
    found = [read_marian_vocabulary(path, faults) for path in vocabularies]
    sides = []
    for name, pieces in zip(("source.spm", "target.spm"), (found[:1] + found[-1:]), strict=False):
        if pieces is not None:
            sides.append(Side(folder / name, pieces, "<unk>", "</s>"))
            faults += tokenizer_faults(sides[-1])
    return (sides[0], sides[1]) if len(sides) == 2 else None


def _read_options(arrays: Mapping[str, Any], faults: list[str]) -> dict[str, Any] | None:
    """The options inside the archive, a YAML text that ends with a zero byte."""
    stored = arrays.get(OPTIONS)
    if stored is None:
        faults.append(f"the weights do not hold their options, {OPTIONS}")
        return None
    text = stored.tobytes().rstrip(b"\0").decode("utf-8", "replace")
    return read_yaml(text, OPTIONS, faults)


def _option_faults(options: Mapping[str, Any]) -> Iterator[str]:
    for name, values in UNDERSTOOD.items():
        if name in options and options[name] not in values:
            yield f"option {name} {shown(options[name])} is not supported"
    if _norms(options) not in NORMS:
        yield f"options transformer-preprocess, -postprocess {_norms(options)} are not supported"
    for name in ("dim-emb", "transformer-heads", "transformer-dim-ffn", "enc-depth", "dec-depth"):
        if not is_size(options.get(name), 131_072):
            yield f"option {name} is {shown(options.get(name))}"
    width, heads = options.get("dim-emb"), options.get("transformer-heads")
    if is_size(width) and is_size(heads) and width % (2 * heads):
        yield f"option dim-emb {width} is not a multiple of twice the {heads} heads"


def _norms(options: Mapping[str, Any]) -> tuple[str, str, str]:
    before, after, top = (
        value if isinstance(value := options.get(f"transformer-{name}") or "", str) else "?"
        for name in ("preprocess", "postprocess", "postprocess-top")
    )
    return before.replace("d", ""), after, top


class _Reader:
    """Weights by the names of options that are sound."""

    def __init__(
        self, options: Mapping[str, Any], sides: tuple[Side, Side], faults: list[str]
    ) -> None:
        self.options, self.faults = options, faults
        self.sizes = len(sides[0].pieces), len(sides[1].pieces)
        self.width: int = options["dim-emb"]
        self.pre = NORMS[_norms(options)] == "pre"
        self.normed = "n" in str(options.get("transformer-postprocess-emb") or "")

    def transformer(self, tied: bool) -> TransformerConfig:
        """The options in our words."""
        return TransformerConfig(
            source_vocabulary_size=self.sizes[0],
            target_vocabulary_size=self.sizes[1],
            pad_id=0,
            width=self.width,
            feed_forward_width=self.options["transformer-dim-ffn"],
            heads=self.options["transformer-heads"],
            encoder_layers=self.options["enc-depth"],
            decoder_layers=self.options["dec-depth"],
            activation=ACTIVATIONS[
                self.options.get("transformer-ffn-activation", USUAL_ACTIVATION)
            ],
            norm_placement="pre" if self.pre else "post",
            norm_embeddings=self.normed,
            position_layout="table",
            positions=POSITIONS,
            share_embeddings=False,
            tie_output=tied,
            output_bias=True,
        )

    def weights(self, tensors: Tensors) -> Weights:
        """All weights by our names; what is missing or left over is a fault."""
        (source, target), width = self.sizes, self.width
        places = tensors.maybe("Wpos", POSITIONS, width)
        places = sinusoids(POSITIONS, width) if places is None else places
        weights = {
            "source_embedding.weight": tensors.first(["encoder_Wemb", "Wemb"], source, width),
            "target_embedding.weight": tensors.first(["decoder_Wemb", "Wemb"], target, width),
            "source_positions.weight": places,
            "target_positions.weight": places,
            "output.bias": tensors.take("decoder_ff_logit_out_b", target),
        }
        if "decoder_ff_logit_out_W" in tensors:
            weights["output.weight"] = tensors.take("decoder_ff_logit_out_W", width, target).T
        elif "decoder_ff_logit_out_Wt" in tensors:
            weights["output.weight"] = tensors.take("decoder_ff_logit_out_Wt", target, width)
        for ours, theirs, top in (
            ("source_norm", "encoder_emb", False),
            ("target_norm", "decoder_emb", False),
            ("encoder_norm", "encoder_top", True),
            ("decoder_norm", "decoder_top", True),
        ):
            if self.pre if top else self.normed:
                weights |= self.norm(tensors, ours, theirs)
        for side, depth in (("encoder", "enc-depth"), ("decoder", "dec-depth")):
            for number in range(self.options[depth]):
                ours, theirs = f"{side}.{number}", f"{side}_l{number + 1}"
                weights |= self.attention(tensors, f"{ours}.self_attention", f"{theirs}_self")
                if side == "decoder":
                    weights |= self.attention(
                        tensors, f"{ours}.cross_attention", f"{theirs}_context"
                    )
                weights |= self.feed_forward(tensors, ours, f"{theirs}_ffn")
        if tensors.unread:
            self.faults.append(f"weights that are not understood: {some(tensors.unread)}")
        return weights

    def product(self, tensors: Tensors, name: str, part: str, *sizes: int) -> tuple[Array, Array]:
        """Weight [out, in] and bias of a product, of `sizes` in and out."""
        bias = tensors.take(f"{name}_b{part}", sizes[1])
        return tensors.take(f"{name}_W{part}", *sizes).T, bias

    def norm(self, tensors: Tensors, ours: str, theirs: str) -> Weights:
        """Scale and shift, under either of two names."""
        scale, shift = (
            tensors.first([f"{theirs}_ln_{part}_pre", f"{theirs}_ln_{part}"], self.width)
            for part in ("scale", "bias")
        )
        return linear(ours, (scale, shift))

    def attention(self, tensors: Tensors, ours: str, theirs: str) -> Weights:
        """An attention and its norm."""
        width = self.width
        query, key, value, output = (
            self.product(tensors, theirs, part, width, width) for part in "qkvo"
        )
        norm = self.norm(tensors, f"{ours}_norm.norm", f"{theirs}_Wo")
        return {**attention(ours, query, key, value, output), **norm}

    def feed_forward(self, tensors: Tensors, ours: str, theirs: str) -> Weights:
        """Two products and their norm."""
        width, inner = self.width, self.options["transformer-dim-ffn"]
        name = f"{ours}.feed_forward"
        return {
            **linear(f"{name}.inner", self.product(tensors, theirs, "1", width, inner)),
            **linear(f"{name}.outer", self.product(tensors, theirs, "2", inner, width)),
            **self.norm(tensors, f"{name}_norm.norm", f"{theirs}_ffn"),
        }
