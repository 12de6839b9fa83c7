"""Attention spelled out in nodes, for what the fused operators cannot express: relative positions,
heads of any size, and weights that somebody wants to see.

Shape letters: A rows, H heads, T queries, S keys, D head size, E width, P rows of a table of
relative positions.
"""

from dataclasses import dataclass

from model_export.architectures.transformer import RelativePositions
from model_export.graphs.builder import GraphBuilder

BARRED = -1e9
"""What is added to a score that must not count."""


@dataclass(frozen=True, slots=True)
class Relative:
    """Tables [P, D] of relative positions, and the row for each query and key [A or 1, T, S]."""

    keys: str
    values: str
    rows: str


def split_heads(g: GraphBuilder, x: str, heads: int) -> str:
    """[A, T, E] -> [A, H, T, D]."""
    apart = g("Reshape", x, g.constant([0, 0, heads, -1], "int64"))
    return g("Transpose", apart, perm=[0, 2, 1, 3])


def bar(g: GraphBuilder, allowed: str) -> str:
    """True where a key may be looked at -> what is added to its score."""
    return g("Where", allowed, g.constant(0.0, "float32"), g.constant(BARRED, "float32"))


def relative(
    g: GraphBuilder, name: str, positions: RelativePositions, queries: str, keys: str
) -> Relative:
    """`queries` [A or 1, T, 1] and `keys` [S] are positions, int64; `name` is the module's."""
    longest = positions.longest
    bounds = g.constant([-longest], "int64"), g.constant([longest], "int64")
    near = g("Min", g("Max", g("Sub", keys, queries), bounds[0]), bounds[1])
    return Relative(
        g.weight(f"{name}.keys", positions.keys),
        g.weight(f"{name}.values", positions.values),
        g("Add", near, bounds[1]),
    )


def attend(
    g: GraphBuilder,
    heads: tuple[str, str, str],
    size: int,
    bias: str | None = None,
    near: Relative | None = None,
) -> tuple[str, str]:
    """Query [A, H, T, D], key and value [A, H, S, D] of head size D, and a bias that broadcasts to
    [A, H, T, S] -> what was found [A, T, E], and how much of each key was looked at [A, H, T, S].
    """
    query, key, value = heads
    scores = g("MatMul", query, g("Transpose", key, perm=[0, 1, 3, 2]))
    if near is not None:
        by_row = g("MatMul", query, g("Transpose", near.keys, perm=[1, 0]))  # [A, H, T, P]
        rows = g("Unsqueeze", near.rows, g.constant([1], "int64"))
        rows = g("Expand", rows, g("Shape", scores))  # [A, H, T, S]
        scores = g("Add", scores, g("GatherElements", by_row, rows, axis=3))
    scores = g("Mul", scores, g.constant(size**-0.5, "float32"))
    if bias is not None:
        scores = g("Add", scores, bias)
    weights = g("Softmax", scores, axis=-1)
    found = g("Transpose", g("MatMul", weights, value), perm=[0, 2, 1, 3])  # [A, T, H, D]
    if near is not None:
        offsets = g("Gather", near.values, near.rows)  # [A or 1, T, S, D]
        by_query = g("Transpose", weights, perm=[0, 2, 1, 3])  # [A, T, H, S]
        found = g("Add", found, g("MatMul", by_query, offsets))
    return g("Reshape", found, g.constant([0, 0, -1], "int64")), weights
