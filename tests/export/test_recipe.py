"""Recipes: complete, strict, and with messages that name the key."""

from pathlib import Path

import pytest

import model_export
from model_export.recipe import RecipeError, load_recipe

SHIPPED = sorted((Path(model_export.__file__).parent / "recipes").glob("*.toml"))

GOOD = """
name = "small"
version = "1"
languages = ["en", "ko"]

[architecture]
kind = "transformer"

[training]
updates = 100

[[train]]
path = "a.tsv"
"""


def read(tmp_path, text):
    """The recipe of a text."""
    path = tmp_path / "small.toml"
    path.write_text(text, "utf-8")
    return load_recipe(path)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_recipes_can_be_read(path):
    """Every recipe in the package is sound and says under which licence its data is."""
    recipe = load_recipe(path)
    assert all(file.licence != "unknown" for file in recipe.train)


def test_what_is_not_said_has_a_default(tmp_path):
    """A recipe needs a name, languages, sizes, updates and data; both directions are trained."""
    recipe = read(tmp_path, GOOD)
    assert recipe.directions == (("en", "ko"), ("ko", "en"))
    assert recipe.tokenizer.vocabulary_size == 8000
    assert recipe.train[0].weight == 1.0


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("updates = 100", "updates = 100\nupdate = 1", "training.update"),
        ("updates = 100", "updates = 0", "training.updates"),
        ("updates = 100", 'updates = "many"', "training.updates"),
        ("updates = 100", "warmup_updates = 3", "training.updates"),
        ("updates = 100", 'updates = 1\nschedule = "cosine"', "training.schedule"),
        ("updates = 100", "updates = 1\nlabel_smoothing = 1.0", "training.label_smoothing"),
        ('"a.tsv"', '"a.tsv"\nweight = -1', r"train.0.weight"),
        ('"a.tsv"', '"a.tsv"\n[augmentation]\nlower_case = 0.6\nconcatenate = 0.6', "augmentation"),
        ('"transformer"', '"transformer"\nlayers = 3', r"architecture\S*\.layers"),
        ('"transformer"', '"mystery"', "architecture"),
        ('languages = ["en", "ko"]', 'languages = ["en"]', "languages"),
        ('name = "small"', "", "name"),
    ],
)
def test_a_fault_is_named_by_its_key(tmp_path, old, new, key):
    """Unknown keys, wrong types, impossible values and missing keys."""
    with pytest.raises(RecipeError, match=rf"(?m)^  {key}\S*: "):
        read(tmp_path, GOOD.replace(old, new))


def test_all_faults_are_told_at_once(tmp_path):
    """Nobody has to mend a recipe one message at a time."""
    with pytest.raises(RecipeError) as refused:
        read(tmp_path, GOOD.replace("100", "0").replace('"a.tsv"', '"a.tsv"\nweight = 0'))
    assert "training.updates" in str(refused.value)
    assert "train.0.weight" in str(refused.value)


def test_what_is_not_toml_is_refused(tmp_path):
    """The message names the file and the place."""
    with pytest.raises(RecipeError, match=r"small\.toml: .*line 1"):
        read(tmp_path, "name = small")


def test_a_missing_recipe_is_refused(tmp_path):
    """The message names the file."""
    with pytest.raises(RecipeError, match=r"nowhere\.toml"):
        load_recipe(tmp_path / "nowhere.toml")


def test_pieces_are_cut_besides_the_other_changes(tmp_path):
    """Their share is of pieces, so it does not count among those of examples."""
    augmentation = "[augmentation]\nlower_case = 0.6\nconcatenate = 0.4\nsplit_pieces = 0.05\n"
    assert read(tmp_path, GOOD + augmentation).augmentation.split_pieces == 0.05
