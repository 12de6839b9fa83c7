"""Each architecture whole in one file: a frozen config, then the modules bottom-up."""

from model_export.architectures.model import TranslationModel
from model_export.architectures.transformer import Transformer, TransformerConfig
from model_export.recipe import TransformerRecipe


def build_model(recipe: TransformerRecipe, vocabulary_size: int, pad_id: int) -> TranslationModel:
    """A freshly initialised model with one vocabulary for both sides."""
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
