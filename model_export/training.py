"""The training loop: updates, schedule, evaluation on the dev set, exact resume after a kill."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from model_export import checkpoint
from model_export.architectures.model import TranslationModel
from model_export.data.batches import Batch, EncodedExample, dev_batches
from model_export.data.dataset import Position, TrainingStream
from model_export.data.prefetch import batches_ahead
from model_export.loss import cross_entropy
from model_export.progress import TrainingProgress
from model_export.recipe import TrainingRecipe

SAVE_EVERY_SECONDS = 60.0
BETAS = 0.9, 0.999
"""Of Adam. The second is larger than the 0.98 of the Transformer's paper: an update has a twentieth
of its tokens here, and the squares' mean should be over as many tokens, not over as many updates
(Marek et al. 2025, arXiv:2507.07101)."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One look at the dev set; `scores` maps a metric and direction to its value."""

    update: int
    tokens: int
    train_loss: float
    dev_loss: float
    scores: dict[str, float]


def learning_rate(recipe: TrainingRecipe, update: int) -> float:
    """Linear warm-up, then inverse square root (Vaswani et al. 2017) or linear decay to zero."""
    warm = update / recipe.warmup_updates
    if recipe.schedule == "inverse-sqrt":
        return recipe.learning_rate * min(warm, math.sqrt(1 / max(warm, 1e-9)))
    left = (recipe.updates - update) / max(1, recipe.updates - recipe.warmup_updates)
    return recipe.learning_rate * max(0.0, min(warm, left))


class Trainer:
    """Owns the model, its optimiser and the position in the data; writes to one run folder."""

    def __init__(
        self,
        model: TranslationModel,
        stream: TrainingStream,
        recipe: TrainingRecipe,
        run: Path,
        score: Callable[[], dict[str, float]] | None = None,
    ) -> None:
        torch.set_flush_denormal(True)  # denormals make exp five times slower
        torch.manual_seed(recipe.seed)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.set_float32_matmul_precision("high" if self.device == "cuda" else "highest")
        self.model = model.to(self.device)
        self.stream, self.recipe, self.run, self.score = stream, recipe, run, score
        decayed = [p for p in model.parameters() if p.dim() > 1]
        plain = [p for p in model.parameters() if p.dim() <= 1]
        groups = [
            {"params": decayed, "weight_decay": recipe.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=0.0, betas=BETAS, eps=1e-9, fused=True)
        self.update, self.tokens, self.position = 0, 0, Position()
        self.history: list[Evaluation] = []

    def resume(self) -> bool:
        """Continues from the run folder's checkpoint, if there is one."""
        path = self.run / "checkpoint.pt"
        if not path.exists():
            return False
        saved = checkpoint.load(path)
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        torch.set_rng_state(saved["rng"])
        if self.device == "cuda" and "cuda_rng" in saved:
            torch.cuda.set_rng_state(saved["cuda_rng"])
        self.update, self.tokens = saved["update"], saved["tokens"]
        self.position = Position(**saved["position"])
        self.history = [Evaluation(**row) for row in saved["history"]]
        return True

    def save(self) -> None:
        """Everything that `resume` needs, here or on another machine, in one atomic write."""
        gpu = {"cuda_rng": torch.cuda.get_rng_state()} if self.device == "cuda" else {}
        checkpoint.save_atomically(
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "rng": torch.get_rng_state(),
                "update": self.update,
                "tokens": self.tokens,
                "position": asdict(self.position),
                "history": [asdict(e) for e in self.history],
                **gpu,
            },
            self.run / "checkpoint.pt",
        )

    def train(
        self,
        dev: Sequence[EncodedExample],
        on_evaluation: Callable[[Sequence[Evaluation]], None] = lambda _: None,
        deadline: float = math.inf,
    ) -> None:
        """Runs to the recipe's last update, or saves and stops after `deadline` (monotonic clock).

        Saves about once a minute and at each evaluation.
        """
        batches = self.batches()
        saved, losses = time.monotonic(), list[Tensor]()
        progress = TrainingProgress(self.recipe.updates, self.update, self.tokens)
        while self.update < self.recipe.updates:
            losses.append(self.one_update(batches))
            progress.show(self.tokens, losses[-1])
            now, last = time.monotonic(), self.update == self.recipe.updates
            if last or self.update % self.recipe.evaluate_every == 0:
                self.evaluate(dev, float(torch.stack(losses).mean()))
                losses.clear()
                on_evaluation(self.history)
            elif now - saved < SAVE_EVERY_SECONDS and now < deadline:
                continue
            self.save()
            saved = time.monotonic()
            if saved >= deadline:
                break
        progress.close()

    def batches(self) -> Iterator[tuple[Batch, Position]]:
        """From the position on; for a GPU they are made beside it."""
        if self.device == "cuda":
            return batches_ahead(self.stream, self.position, pinned=True)
        return self.stream.batches(self.position)

    def one_update(self, batches: Iterator[tuple[Batch, Position]]) -> Tensor:
        """Gradients over enough batches for one update, then one optimiser step.

        Returns the smoothed loss in nats a token, on the device: nobody has waited for it yet.
        """
        parts: list[Batch] = []
        padded = 0
        while padded < self.recipe.tokens_per_update:
            batch, self.position = next(batches)
            parts.append(batch)
            padded += batch.padded
            if padded + self.recipe.tokens_per_batch > self.recipe.tokens_per_update:
                break
        tokens = sum(batch.tokens for batch in parts)
        self.model.train()
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        for batch in parts:
            loss, _ = self.loss(batch, self.recipe.label_smoothing)
            (loss / tokens).backward()
            loss_sum += loss.detach()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_norm)
        self.update += 1
        self.tokens += tokens
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, self.update)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss_sum / tokens

    def loss(self, batch: Batch, smoothing: float) -> tuple[Tensor, Tensor]:
        """Smoothed loss and negative log-likelihood of a batch, summed over its tokens."""
        batch = batch.to(self.device)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.recipe.bf16):
            hidden = self.model(batch.source, batch.target_in)
            labels, output = batch.target_out, self.model.output
            return cross_entropy(hidden, output, labels, batch.real, smoothing)

    def evaluate(self, dev: Sequence[EncodedExample], train_loss: float) -> None:
        """Dev loss (plain negative log-likelihood, nats a token) and scores, into the history."""
        self.model.eval()
        pad_id = self.stream.vocabulary.pad_id
        total, tokens = 0.0, 0
        with torch.no_grad():
            for batch in dev_batches(dev, self.recipe.tokens_per_batch, pad_id):
                total += float(self.loss(batch, 0.0)[1])
                tokens += batch.tokens
        scores = self.score() if self.score else {}
        self.history.append(
            Evaluation(self.update, self.tokens, train_loss, total / tokens, scores)
        )
        weights = {k: v.cpu() for k, v in self.model.state_dict().items()}
        folder = self.run / "weights"
        checkpoint.save_atomically(weights, folder / f"weights-{self.update:07d}.pt")
        checkpoint.prune(folder, self.recipe.average_last)
