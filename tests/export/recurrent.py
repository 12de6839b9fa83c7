"""Small RNNs of every variant with odd sizes, and a padded batch for them."""

import itertools

import torch
from torch import nn

from model_export.architectures.rnn_attention import RnnAttention, RnnAttentionConfig
from model_export.architectures.rnn_seq2seq import RnnSeq2seq, RnnSeq2seqConfig
from model_export.graphs.module import round_weights
from service.engine.model import pad_rows

PAD, BOS, EOS = 0, 2, 3
WIDTH, HIDDEN = 7, 10
VOCABULARY = 151  # times the width it is above COMPACT_ABOVE, so the graphs round the embeddings
CELLS = ["gru", "lstm"]
SCORES = ["additive", "general", "dot"]
VARIANTS = {
    **{f"seq2seq {cell}": (cell, None) for cell in CELLS},
    **{f"{score} {cell}": (cell, score) for cell, score in itertools.product(CELLS, SCORES)},
}
SOURCES = [[5, 6, 7, 8, 9, 10, 3], [9, 3], [4, 11, 12, 3], [150, 149, 5, 5, 3]]
SOURCE = torch.from_numpy(pad_rows(SOURCES, PAD))  # [4, 7]; the exporter's example is [2, 5]
TARGET = torch.tensor(
    [[BOS, 5, 6, 7, 140], [BOS, 8, 9, 10, 3], [BOS, 20, 4, 4, 4], [BOS, 99, 100, 3, 0]]
)


def build(cell, score=None):
    """A model with random weights everywhere; without a score it is the plain seq2seq."""
    torch.manual_seed(0)
    if score is None:
        model = RnnSeq2seq(RnnSeq2seqConfig(VOCABULARY, PAD, WIDTH, HIDDEN - 1, cell))
    else:
        model = RnnAttention(RnnAttentionConfig(VOCABULARY, PAD, WIDTH, HIDDEN, cell, score))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.8)
    model.output.bias.data[EOS] = 1.5  # so that some hypotheses end
    round_weights(model)
    return model.eval()
