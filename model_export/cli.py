"""`model-export`: from pair files to a served bundle, one subcommand a stage."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)

RecipePath = Annotated[Path, typer.Argument(help="The recipe, a TOML file.", exists=True)]
Corpora = Annotated[Path, typer.Option(help="The folder that the recipe's paths start from.")]
Run = Annotated[Path, typer.Option(help="Folder of this run: tokenizer, checkpoints, curves.")]


@app.command()
def tokenizer(recipe: RecipePath, corpora: Corpora, run: Run) -> None:
    """Train the SentencePiece model on one epoch of the recipe's mixture."""
    from model_export.corpus import Mixture
    from model_export.recipe import load_recipe
    from model_export.tokenizer import train_tokenizer

    plan = load_recipe(recipe)
    mixture = Mixture(corpora, plan.train, plan.languages)
    texts = (
        text for f, i, _ in mixture.epoch(1, plan.training.seed) for text in mixture.pairs[f][i]
    )
    train_tokenizer(texts, plan.tokenizer, plan.languages, run / "tokenizer.model")
    typer.echo(f"{run / 'tokenizer.model'}: {plan.tokenizer.vocabulary_size} pieces")


@app.command()
def train(recipe: RecipePath, corpora: Corpora, run: Run) -> None:
    """Train, or continue a run that was stopped or killed."""
    from model_export.architectures import build_model
    from model_export.corpus import Mixture, load_pairs
    from model_export.dataset import TrainingStream, both_ways, encode_examples
    from model_export.plots import plot_history
    from model_export.recipe import load_recipe
    from model_export.training import Trainer
    from service.engine.vocabulary import Vocabulary

    plan = load_recipe(recipe)
    vocabulary = Vocabulary(run / "tokenizer.model")
    mixture = Mixture(corpora, plan.train, plan.languages)
    pairs = [pair for file in plan.dev for pair in load_pairs(corpora, file)]
    dev = [e for pair in pairs for e in both_ways(pair, plan.languages)]
    model = build_model(plan.architecture, len(vocabulary), vocabulary.pad_id)
    trainer = Trainer(model, TrainingStream(mixture, vocabulary, plan.training), plan.training, run)
    if trainer.resume():
        typer.echo(f"continuing at update {trainer.update}")
    trainer.train(
        encode_examples(dev, vocabulary),
        lambda h: (print(h[-1]), plot_history(h, run / "loss.png")),
    )


if __name__ == "__main__":
    app()
