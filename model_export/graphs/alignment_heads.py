"""Finds the attention heads of a Transformer that align source and target best.

There are no hand-made alignments for our languages, but numbers, names and marks that stand
once on each side must belong together. A head is as good as it is at finding those.
"""

from collections import Counter
from collections.abc import Sequence

import torch

from model_export.architectures.transformer import Transformer
from model_export.data.batches import EncodedExample, make_batch

BATCH = 50
NEARLY = 0.85
"""Heads of the best head's layer that reach this share of its accuracy are averaged with it."""

Anchor = tuple[int, int, int]
"""(sentence, source position, target step): the same piece, once on either side."""


def anchors(examples: Sequence[EncodedExample]) -> list[Anchor]:
    """Where a piece occurs exactly once in the source and exactly once in the target."""
    found = []
    for number, example in enumerate(examples):
        source, target = example.source[1:-1], example.target[1:-1]
        once = {
            piece
            for piece in set(source) & set(target)
            if Counter(source)[piece] == 1 and Counter(target)[piece] == 1
        }
        # Both sides lost their first symbol; a piece's step is the one that is asked for it.
        found += [(number, source.index(p) + 1, target.index(p)) for p in sorted(once)]
    return found


def head_accuracies(model: Transformer, examples: Sequence[EncodedExample]) -> torch.Tensor:
    """How often each head looks most at an anchor's partner: [layers, H]."""
    config = model.config
    hits = torch.zeros(config.decoder_layers, config.heads)
    total = 0
    with torch.inference_mode():
        for start in range(0, len(examples), BATCH):
            some = examples[start : start + BATCH]
            batch = make_batch(some, config.pad_id)
            weights = torch.stack(model.source_weights(batch.source, batch.target_in))
            for sentence, source, step in anchors(some):
                hits += weights[:, sentence, :, step].argmax(-1) == source
                total += 1
    return hits / max(total, 1)


def choose_heads(model: Transformer, examples: Sequence[EncodedExample]) -> float:
    """Sets the model's alignment heads; returns the best head's accuracy in 0..1."""
    accuracies = head_accuracies(model, examples)
    best = float(accuracies.max())
    layer = int(accuracies.max(1).values.argmax())
    heads = torch.nonzero(accuracies[layer] >= NEARLY * best)[:, 0].tolist()
    model.alignment_heads = tuple((layer, head) for head in heads)
    return best
