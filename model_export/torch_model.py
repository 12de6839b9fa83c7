"""A PyTorch model as the service's search sees it: the reference that ONNX is compared with."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model_export.architectures.model import TranslationModel
from service.engine.model import Candidates, Ids, best_candidates, pad_rows


@dataclass(frozen=True, slots=True)
class TorchState:
    """State tensors by name, rows on axis 0."""

    tensors: dict[str, Tensor]

    def select(self, rows: Ids) -> "TorchState":
        """Every tensor's rows `rows`."""
        index = torch.from_numpy(rows)
        return TorchState({n: t[index.to(t.device)] for n, t in self.tensors.items()})

    reorder = select


class TorchModel:
    """Runs `encode` and `step` without gradients, in float32, on the module's own device."""

    joinable = False
    """The reference decodes one batch at a time."""

    def __init__(self, module: TranslationModel, pad_id: int) -> None:
        self.module = module
        self.pad_id = pad_id
        self.device = module.output.weight.device

    @property
    def aligner(self) -> None:
        """Alignment is asked of bundles only."""

    @torch.inference_mode()
    def encode(self, sources: Sequence[Sequence[int]], beam_size: int = 1) -> TorchState:
        """Pads the sources to [B, S] and reads them; each row comes `beam_size` times."""
        ids = torch.from_numpy(pad_rows(sources, self.pad_id)).to(self.device)
        state = TorchState(self.module.encode(ids))
        return state.select(np.repeat(np.arange(len(sources)), beam_size))

    @torch.inference_mode()
    def step(self, ids: Ids, state: TorchState, k: int) -> tuple[Candidates, TorchState]:
        """One step; log-probabilities of the k likeliest pieces."""
        logits, after = self.module.step(torch.from_numpy(ids).to(self.device), state.tensors)
        return best_candidates(logits.log_softmax(-1).cpu().numpy(), k), TorchState(after)
