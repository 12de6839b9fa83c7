"""Which search serves which beam size, and a batch decoded to its end."""

from collections.abc import Iterator, Sequence
from typing import Any

from service.engine.beam_search import BeamSearch
from service.engine.greedy_search import GreedySearch
from service.engine.model import StepModel
from service.engine.request import Hypothesis
from service.engine.search import Search, SearchInput


def search(
    model: StepModel[Any], inputs: Sequence[SearchInput], bos_id: int, eos_id: int
) -> Iterator[tuple[int, tuple[Hypothesis, ...]]]:
    """Decodes a batch; yields (index into `inputs`, hypotheses best first) as sentences finish.

    All inputs must have the same beam_size; the other options may differ.
    """
    beam_sizes = {each.options.beam_size for each in inputs}
    if len(beam_sizes) != 1:
        raise ValueError(f"one batch needs one beam_size, not {sorted(beam_sizes)}")
    running: Search[int] = open_search(model, beam_sizes.pop(), bos_id, eos_id)
    running.join(list(enumerate(inputs)))
    while running.keys:
        yield from running.step()


def open_search(model: StepModel[Any], beam_size: int, bos_id: int, eos_id: int) -> Search[Any]:
    """An empty search for sentences of this beam size; 1 is greedy search."""
    kind = GreedySearch if beam_size == 1 else BeamSearch
    return kind(model, beam_size, bos_id, eos_id)
