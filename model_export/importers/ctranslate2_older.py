"""What files of older CTranslate2 versions keep elsewhere, put where today's have it.

Until revision 4 of the spec, encoder and decoder had their sizes in common; until version 5 of the
binary there was no config.json, and variables said what it says.
"""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from model_export.importers.ctranslate2_binary import Binary, BinaryFault

Variables = dict[str, NDArray[Any]]
SPEC, REVISIONS = "TransformerSpec", (3, 4, 5, 6, 7)
"""Revisions of the spec whose variables go by these names."""
COMMON = {
    "encoder": ("num_heads", "pre_norm", "activation", "embeddings_merge"),
    "decoder": ("num_heads", "pre_norm", "activation", "alignment_layer", "alignment_heads"),
}
"""What each side has of its own since revision 5."""
TOLD = ("with_relative_position", "layernorm_embedding")
"""Flags of revisions before 5 that say whether there are certain weights."""
TOKENS = ("unk_token", "bos_token", "eos_token")
BOS, EOS = "with_source_bos", "with_source_eos"
STARTS_WITH_BOS, STARTS_AS_ASKED = "with_target_bos", "user_decoder_start_tokens"


def as_today(binary: Binary) -> tuple[Variables, Mapping[str, Any]]:
    """All variables of a Transformer by today's names, and what an older file says instead of
    config.json. Raises BinaryFault."""
    if binary.spec != SPEC:
        raise BinaryFault(f"its spec is {binary.spec}, which is not supported; {SPEC} is")
    if binary.revision not in REVISIONS:
        known = f"{REVISIONS[0]} to {REVISIONS[-1]}"
        raise BinaryFault(f"revision {binary.revision} of {SPEC} is not supported; {known} are")
    variables = dict(binary.variables)
    if binary.revision < 5:
        for side, names in COMMON.items():
            found = {f"{side}/{name}": variables[name] for name in names if name in variables}
            variables |= found
        for name in {*TOLD, *COMMON["encoder"], *COMMON["decoder"]}:
            variables.pop(name, None)
    return variables, _take_config(variables) if binary.version < 6 else {}


def flag(variables: Mapping[str, NDArray[Any]], name: str, default: bool) -> bool:
    """Whether something holds of a model."""
    array = variables.get(name)
    return default if array is None else bool(array.any())


def _take_config(variables: Variables) -> dict[str, Any]:
    """Takes out what config.json would say."""
    config: dict[str, Any] = {name: _text(variables[name]) for name in TOKENS if name in variables}
    config["add_source_bos"] = flag(variables, BOS, False)
    config["add_source_eos"] = flag(variables, EOS, False)
    if flag(variables, STARTS_AS_ASKED, False):
        config["decoder_start_token"] = None
    elif flag(variables, STARTS_WITH_BOS, True):
        config["decoder_start_token"] = config.get("bos_token", "<s>")
    else:
        config["decoder_start_token"] = config.get("eos_token", "</s>")
    for name in (*TOKENS, BOS, EOS, STARTS_WITH_BOS, STARTS_AS_ASKED):
        variables.pop(name, None)
    return config


def _text(array: NDArray[Any]) -> str:
    """Text as it was stored: a number for each byte."""
    return array.tobytes().decode("utf-8", "replace")
