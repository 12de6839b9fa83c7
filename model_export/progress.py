"""The progress bar of a training run: updates done, time left, tokens a second, recent loss."""

import time

from torch import Tensor
from tqdm import tqdm

RECENT = 0.98
SHOW_EVERY = 10
"""Updates. To read a loss is to wait for the GPU."""


class TrainingProgress:
    """Counts from where the run starts or goes on, so that a resumed run shows its true pace."""

    def __init__(self, updates: int, done: int, tokens: int) -> None:
        self.bar = tqdm(total=updates, initial=done, unit="update", mininterval=5, smoothing=0.05)
        self.started, self.tokens_before = time.monotonic(), tokens
        self.loss: Tensor | None = None

    def show(self, tokens: int, loss: Tensor) -> None:
        """One update is done; `tokens` counts the whole run, `loss` is in nats a token."""
        self.loss = loss if self.loss is None else RECENT * self.loss + (1 - RECENT) * loss
        if self.bar.n % SHOW_EVERY == 0:
            pace = (tokens - self.tokens_before) / (time.monotonic() - self.started)
            self.bar.set_postfix_str(f"loss {self.loss:.3f}, {pace:.0f} tokens/s", refresh=False)
        self.bar.update()

    def close(self) -> None:
        """Leaves the last state on the screen."""
        self.bar.close()
