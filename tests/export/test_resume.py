"""A run that is stopped, at whatever moment, and started again ends as if nothing had happened."""

import dataclasses
import itertools
import os
import signal
import subprocess
import sys

import pytest
import torch
from typer.testing import CliRunner

from model_export import checkpoint, runs, training
from model_export.cli import app
from model_export.recipe import load_recipe
from tests.export.toy import make_toy
from tests.polling import wait_until


class Stop(Exception):
    """What ends a run in these tests."""


def trainer_of(toy):
    """The run's trainer, continued if there is something to continue, and the dev pairs."""
    return runs.make_trainer(load_recipe(toy.recipe), [toy.corpora], toy.run)


def final_weights(toy):
    """Trains to the end; the weights."""
    trainer, dev = trainer_of(toy)
    runs.train(trainer, dev, lambda _: None)
    return {name: weight.cpu() for name, weight in trainer.model.state_dict().items()}


def assert_equal_weights(found, expected):
    """The same weights, but for rounding."""
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, atol=1e-6, rtol=0, msg=name)


def start_toys(folder, **settings):
    """Two runs alike in all but their folders, with tokenizers."""
    toys = [make_toy(folder / name, pairs=300, **settings) for name in ("through", "stopped")]
    for toy in toys:
        runs.make_tokenizer(load_recipe(toy.recipe), [toy.corpora], toy.run)
    return toys


def test_a_run_killed_and_started_again_ends_with_the_same_weights(tmp_path):
    """SIGKILL in the middle, through the real command line."""
    through, killed = start_toys(tmp_path, updates=40, evaluate_every=10)
    command = [sys.executable, "-m", "model_export.cli", "train", *killed.arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until((killed.run / "checkpoint.pt").exists, seconds=120)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    reached = checkpoint.load(killed.run / "checkpoint.pt")["update"]
    assert 0 < reached < 40
    result = CliRunner().invoke(app, ["train", *killed.arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert f"continuing at update {reached}\n" in result.output
    saved = checkpoint.load(killed.run / "checkpoint.pt")
    assert saved["update"] == 40
    assert [row["update"] for row in saved["history"]] == [10, 20, 30, 40]
    assert_equal_weights(saved["model"], final_weights(through))


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_a_run_stopped_between_evaluations_loses_only_what_was_not_saved(
    tmp_path, monkeypatch, dropout
):
    """Position in the data, optimiser and random numbers go on from the last save."""
    through, stopped = start_toys(tmp_path, updates=12, evaluate_every=12, dropout=dropout)
    expected = final_weights(through)
    monkeypatch.setattr(training, "SAVE_EVERY_SECONDS", 0.0)
    trainer, dev = trainer_of(stopped)
    one_update = trainer.one_update

    def update_until_seven(batches):
        if trainer.update == 7:
            raise Stop
        return one_update(batches)

    monkeypatch.setattr(trainer, "one_update", update_until_seven)
    with pytest.raises(Stop):
        runs.train(trainer, dev, lambda _: None)
    assert trainer_of(stopped)[0].update == 7
    assert_equal_weights(final_weights(stopped), expected)


def test_a_run_that_may_take_no_more_time_stops_at_a_checkpoint(tmp_path):
    """`--minutes` ends a run after the update that is going on; the next one goes on from there."""
    through, stopped = start_toys(tmp_path, updates=4, evaluate_every=2)
    command = ["train", *stopped.arguments, "--minutes", "0"]
    for update in (1, 2, 3):
        result = CliRunner().invoke(app, command, catch_exceptions=False)
        assert f"stopped at update {update} of 4" in result.output
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert "not done yet" not in result.output
    saved = checkpoint.load(stopped.run / "checkpoint.pt")
    assert [row["update"] for row in saved["history"]] == [2, 4]
    assert_equal_weights(saved["model"], final_weights(through))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_an_update_does_not_wait_for_the_gpu(tmp_path):
    """Nothing in it reads a value back, so the next batch is sent while this one is computed."""
    toy, _ = start_toys(tmp_path, updates=9, evaluate_every=9)
    trainer, _ = trainer_of(toy)
    batches = trainer.batches()
    trainer.one_update(batches)
    torch.cuda.set_sync_debug_mode("error")
    try:
        trainer.one_update(batches)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_finished_run_has_nothing_left_to_do(tmp_path):
    """Starting it once more changes neither weights nor history."""
    toy, _ = start_toys(tmp_path, updates=2, evaluate_every=2)
    expected = final_weights(toy)
    assert_equal_weights(final_weights(toy), expected)
    assert len(trainer_of(toy)[0].history) == 1


def test_a_write_that_was_cut_short_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    """A reader sees the old file or the new one, never a part."""
    path = tmp_path / "run" / "checkpoint.pt"
    checkpoint.save_atomically({"update": 1}, path)

    def save_half(_, partial):
        partial.write_bytes(b"half")
        raise Stop

    monkeypatch.setattr(torch, "save", save_half)
    with pytest.raises(Stop):
        checkpoint.save_atomically({"update": 2}, path)
    monkeypatch.undo()
    assert checkpoint.load(path) == {"update": 1}
    checkpoint.save_atomically({"update": 3}, path)
    assert checkpoint.load(path) == {"update": 3}


def test_the_average_counts_tied_weights_once(tmp_path):
    """Two names of one tensor, as a tied output layer has, come out as the mean of both files."""
    paths = []
    for i, value in enumerate((1.0, 3.0)):
        shared = torch.full((2,), value)
        paths.append(tmp_path / f"weights-{i}.pt")
        checkpoint.save_atomically({"embedding": shared, "output": shared}, paths[-1])
    mean = checkpoint.average(paths)
    assert mean["embedding"].tolist() == mean["output"].tolist() == [2.0, 2.0]


def test_only_the_newest_weights_are_kept(tmp_path):
    """Pruning leaves the last few evaluations, in order of their updates."""
    for update in (900, 1000, 11000):
        checkpoint.save_atomically({}, tmp_path / f"weights-{update:07d}.pt")
    checkpoint.prune(tmp_path, 2)
    kept = [path.name for path in checkpoint.newest(tmp_path, 5)]
    assert kept == ["weights-0001000.pt", "weights-0011000.pt"]


def test_averaging_nothing_says_that_nothing_was_trained():
    """The message tells what to do."""
    with pytest.raises(checkpoint.WeightsError, match="train first"):
        checkpoint.average([])


def test_weights_that_do_not_fit_are_named():
    """Loading lists what is absent and what is strange."""
    model = torch.nn.Linear(2, 2)
    with pytest.raises(checkpoint.WeightsError, match=r"absent \['bias'\], strange \['other'\]"):
        checkpoint.load_into(model, {"weight": torch.zeros(2, 2), "other": torch.zeros(1)})


def test_the_seed_decides_the_first_weights(tmp_path):
    """Two runs of one recipe begin alike, whatever was drawn before; another seed begins anew."""
    toy = make_toy(tmp_path, updates=2, evaluate_every=2, pairs=300)
    recipe = load_recipe(toy.recipe)
    runs.make_tokenizer(recipe, [toy.corpora], toy.run)
    other = dataclasses.replace(recipe, training=dataclasses.replace(recipe.training, seed=2))
    tables = []
    for each in (recipe, recipe, other):
        torch.rand(3)
        trainer, _ = runs.make_trainer(each, [toy.corpora], toy.run)
        tables.append(trainer.model.output.weight.detach().cpu())
    assert torch.equal(tables[0], tables[1])
    assert not torch.equal(tables[0], tables[2])


@pytest.mark.parametrize("schedule", ["inverse-sqrt", "linear"])
def test_the_learning_rate_warms_up_and_then_falls(tmp_path, schedule):
    """It rises in a straight line to its peak, then falls; linear decay ends at zero."""
    toy = make_toy(tmp_path, updates=200, evaluate_every=100, pairs=10)
    recipe = dataclasses.replace(load_recipe(toy.recipe).training, schedule=schedule)
    rates = [training.learning_rate(recipe, update) for update in range(201)]
    assert rates[:51] == pytest.approx([6e-3 * i / 50 for i in range(51)])
    assert all(a > b for a, b in itertools.pairwise(rates[50:]))
    assert rates[200] == pytest.approx(0.0 if schedule == "linear" else 3e-3)
