"""Each architecture whole in one file: a frozen config, then the modules bottom-up."""

from model_export.architectures.model import TranslationModel
from model_export.architectures.rnn_attention import RnnAttention, RnnAttentionConfig
from model_export.architectures.rnn_seq2seq import RnnSeq2seq, RnnSeq2seqConfig
from model_export.architectures.transformer import Transformer, TransformerConfig
from model_export.recipe import (
    ArchitectureRecipe,
    RnnAttentionRecipe,
    RnnSeq2seqRecipe,
    TransformerRecipe,
)


def build_model(recipe: ArchitectureRecipe, vocabulary_size: int, pad_id: int) -> TranslationModel:
    """A freshly initialised model with one vocabulary for both sides."""
    match recipe:
        case TransformerRecipe():
            return Transformer(
                TransformerConfig(
                    source_vocabulary_size=vocabulary_size,
                    target_vocabulary_size=vocabulary_size,
                    pad_id=pad_id,
                    width=recipe.width,
                    feed_forward_width=recipe.feed_forward_width,
                    heads=recipe.heads,
                    encoder_layers=recipe.encoder_layers,
                    decoder_layers=recipe.decoder_layers,
                    norm_placement=recipe.norm_placement,
                    dropout=recipe.dropout,
                )
            )
        case RnnSeq2seqRecipe():
            sizes = recipe.width, recipe.hidden_width, recipe.cell
            return RnnSeq2seq(RnnSeq2seqConfig(vocabulary_size, pad_id, *sizes))
        case RnnAttentionRecipe():
            sizes = recipe.width, recipe.hidden_width, recipe.cell
            config = RnnAttentionConfig(vocabulary_size, pad_id, *sizes, recipe.score)
            return RnnAttention(config)
