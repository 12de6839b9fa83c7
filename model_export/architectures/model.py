"""What training, export and verification ask of a model, whatever its architecture."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from service.engine.bundle import StateSpec

State = dict[str, Tensor]


class TranslationModel(nn.Module, ABC):
    """An encoder and a decoder; `forward` trains, `encode` and `step` decode."""

    output: nn.Linear
    """Hidden states to logits. Apart from `forward`, so that a loss can take it in chunks."""

    @abstractmethod
    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Padded ids [B, S] and [B, T] (shifted right) -> hidden states [B, T, E]."""

    @abstractmethod
    def encode(self, source: Tensor) -> State:
        """Padded ids [B, S] -> every tensor of `state_specs`, ready for the first step."""

    @abstractmethod
    def step(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """One target token: ids [R] and the state -> logits [R, V] and the next state."""

    aligns = False
    """Whether the model has attention, so that `attend` can say what it looked at."""

    def attend(self, ids: Tensor, state: State) -> tuple[Tensor, State, Tensor]:
        """As `step`, and how much of each source piece was looked at: [R, S], rows sum to 1."""
        raise NotImplementedError(f"{type(self).__name__} has no attention")

    @abstractmethod
    def state_specs(self) -> tuple[StateSpec, ...]:
        """Names, kinds and shapes of the state, for the bundle's manifest."""
