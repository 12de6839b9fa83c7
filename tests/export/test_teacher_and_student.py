"""The road of the shipped recipes from tokenizer to student, on the toy pair and in toy sizes."""

import re
import shutil
from pathlib import Path

import model_export
from model_export.recipe import load_recipe
from service.engine.bundle import load_bundle
from tests.export.conftest import run_command
from tests.export.toy import make_toy

RECIPES = Path(model_export.__file__).parent / "recipes"
TOY_SIZES = {
    "vocabulary_size": 297,
    "width": 48,
    "feed_forward_width": 96,
    "heads": 3,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "updates": 4,
    "warmup_updates": 2,
    "tokens_per_update": 600,
    "tokens_per_batch": 300,
    "evaluate_every": 2,
}


def shrink(name, folder, corpora):
    """A shipped recipe in toy sizes, with the toy's pairs wherever it looks for texts by people."""
    text = (RECIPES / name).read_text("utf-8")
    for key, value in TOY_SIZES.items():
        text, found = re.subn(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
        assert found == 1, key
    path = folder / name
    path.write_text(text, "utf-8")
    recipe = load_recipe(path)
    toy = {"train": corpora / "train.tsv", "dev": corpora / "dev.tsv"}
    for file in (*recipe.train, *recipe.dev):
        kind, _, rest = file.path.partition("/")
        if kind in toy:
            plain = corpora / kind / rest.removesuffix(".gz")
            plain.parent.mkdir(exist_ok=True)
            shutil.copyfile(toy[kind], plain)
    text = path.read_text("utf-8")
    path.write_text(re.sub(r'(path = "train/.*)\.gz"', r'\1"', text), "utf-8")
    return path


def test_a_teacher_makes_what_its_student_learns_from(tmp_path):
    """Each stage reads what the one before has written, with the options that the page tells."""
    toy = make_toy(tmp_path, updates=1, evaluate_every=1, pairs=30)
    corpora, dev = toy.corpora, str(toy.corpora / "dev.tsv")
    folder = ["--corpora", str(corpora)]

    def stages(name):
        recipe = str(shrink(f"en-ko-{name}.toml", tmp_path, corpora))
        run = [*folder, "--run", str(tmp_path / "runs" / name)]
        if not (tmp_path / "runs" / name).exists():
            run_command("tokenizer", recipe, *run)
        while "not done yet" in run_command("train", recipe, *run, "--minutes", "0"):
            pass
        weights, bundle = str(tmp_path / "weights" / name), str(tmp_path / name)
        run_command("export", recipe, weights, *run)
        calibration = ["--calibration", dev, "--pairs", dev, "--tolerance", "100"]
        run_command("quantize", weights, bundle, *calibration)
        return bundle

    teacher = stages("teacher")
    for direction in ("en-ko", "ko-en"):
        given = ["train/authored.en-ko.tsv", "train/tatoeba.en-ko.tsv"]
        for kind in (f"distilled-{direction}", f"back-{direction[3:]}-{direction[:2]}"):
            output = ["--direction", direction, "--output", f"synthetic/{kind}.tsv.gz"]
            output += ["--beam-size", "1"]
            assert "pairs" in run_command("synthesise", teacher, *given, *folder, *output)

    (tmp_path / "runs" / "student").mkdir()
    shutil.copy(tmp_path / "runs/teacher/tokenizer.model", tmp_path / "runs/student")
    student = stages("student")
    data = {each.name for each in load_bundle(Path(student)).manifest.provenance.data}
    assert "synthetic/back-en-ko.tsv.gz" in data
    run_command("verify", student)
