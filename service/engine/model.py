"""The seam between search and a model: two calls, and a state that search only rearranges."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Scores = NDArray[np.float32]


class Candidates(NamedTuple):
    """The k likeliest next pieces of each row, best first."""

    ids: Ids  # [R, k]
    log_probs: Scores  # [R, k]


class State(Protocol):
    """Whatever a model remembers between steps, one row a hypothesis.

    Using one up is allowed: after `step`, `select`, `reorder` or `join` only the result is good.
    """

    def select(self, rows: Ids) -> Self:
        """The state of some sentences, all their rows: row i is row `rows[i]` of this one."""

    def reorder(self, rows: Ids) -> Self:
        """As `select`, when every row stays with its own source sentence."""

    def join(self, newcomers: Self) -> Self:
        """This state's rows, then those of the newcomers, which may be at another step."""


StateT = TypeVar("StateT", bound=State)


class StepModel(Protocol[StateT]):
    """A model as search sees it; `StateT` is the model's own kind of state."""

    @property
    def aligner(self) -> "AligningModel[Any] | None":
        """What can say where the model looked, if it has attention."""

    @property
    def joinable(self) -> bool:
        """Whether states at different steps can be joined."""

    def encode(self, sources: Sequence[Sequence[int]], beam_size: int = 1) -> StateT:
        """Reads B source sentences (ids, any lengths) -> a state of B * K rows, sentence-major."""

    def step(self, ids: Ids, state: StateT, k: int) -> tuple[Candidates, StateT]:
        """Appends ids [R] to the hypotheses -> what may follow, and the next state.

        `k` is capped at the size of the vocabulary.
        """


class AligningModel(StepModel[StateT], Protocol[StateT]):
    """A model with attention, which can say what it looked at."""

    def attend(self, ids: Ids, state: StateT) -> tuple[Scores, StateT]:
        """Appends ids [R] -> how much of each source piece [R, S] was looked at for what follows,
        rows sum to 1, and the next state."""


def forced_alignment(
    model: AligningModel[StateT], source: Sequence[int], target: Sequence[int], bos_id: int
) -> Scores:
    """Walks along a finished hypothesis -> [T + 1, S]: a row for each piece and one for eos.

    A second walk, so that search itself need not carry alignments along.
    """
    state = model.encode([source])
    rows = []
    for piece in (bos_id, *target):
        weights, state = model.attend(np.array([piece]), state)
        rows.append(weights[0])
    return np.stack(rows)


def best_candidates(log_probs: Scores, k: int) -> Candidates:
    """The k largest of each row [R, V], best first; of equals the lower id comes first."""
    rows = np.arange(len(log_probs))[:, None]
    if k == 1:
        ids = log_probs.argmax(axis=1)[:, None]
        return Candidates(ids, log_probs[rows, ids])
    k = min(k, log_probs.shape[1])
    ids = np.sort(np.argpartition(-log_probs, k - 1, axis=1)[:, :k], axis=1)
    order = np.argsort(-log_probs[rows, ids], axis=1, kind="stable")
    ids = ids[rows, order]
    return Candidates(ids, log_probs[rows, ids])


def pad_rows(rows: Sequence[Sequence[int]], pad_id: int) -> Ids:
    """Rows of ids, any lengths -> [B, longest], padded on the right."""
    padded = np.full((len(rows), max(map(len, rows))), pad_id, dtype=np.int64)
    for row, ids in zip(padded, rows, strict=True):
        row[: len(ids)] = ids
    return padded
