"""Confidence is learnt from what came of scores, and says how far it can be trusted."""

import dataclasses
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from model_export.cli import app
from model_export.quality.calibration import (
    CalibrationError,
    Sample,
    calibration_error,
    fit,
    learn,
    likelihood,
)
from service.engine.bundle import Direction, load_bundle
from tests.export.conftest import quantize_arguments, run_command

EN_KO = Direction("en", "ko")


def drawn(bias, slope, count=4000, seed=1):
    """Mean log-probabilities, and whether each came out good, by a known law."""
    random = np.random.default_rng(seed)
    means = -random.exponential(1.0, count)
    return means, (random.random(count) < likelihood(means, bias, slope)).astype(float)


def samples(means, good, threshold=25.0):
    """As the sentences of a dev set."""
    pairs = zip(means.tolist(), good.tolist(), strict=True)
    return [Sample(mean, threshold + (10 if well else -10), False, False) for mean, well in pairs]


@pytest.mark.parametrize(("bias", "slope"), [(2.0, 3.0), (0.5, 1.0), (4.2, 6.4)])
def test_the_law_behind_the_samples_is_found(bias, slope):
    """To a tenth or so, of 4,000 sentences; and it is calibrated."""
    found = learn(EN_KO, samples(*drawn(bias, slope)))
    assert (found.spec.bias, found.spec.slope) == pytest.approx((bias, slope), rel=0.15, abs=0.1)
    assert found.spec.error < 0.03
    assert (found.spec.direction, found.spec.sentences) == ("en-ko", 4000)


def test_a_score_that_tells_nothing_has_no_slope():
    """Then all are as good as the mean, and no worse score makes one surer."""
    means, good = drawn(0.0, 0.0)
    assert fit(means, 1 - (means < np.median(means)))[1] > 0
    assert fit(means, (means < np.median(means)).astype(float))[1] == 0
    assert fit(means, good)[1] == pytest.approx(0, abs=0.1)


def test_the_calibration_error_is_the_distance_of_promise_and_result():
    """None where promises are kept; the whole gap where they never are."""
    chances = np.repeat(np.linspace(0.05, 0.95, 10), 100)
    kept = np.concatenate([np.arange(100) < 100 * p for p in np.linspace(0.05, 0.95, 10)])
    assert calibration_error(chances, kept.astype(float)) == pytest.approx(0, abs=1e-9)
    assert calibration_error(np.full(100, 0.75), np.zeros(100)) == pytest.approx(0.75)


@pytest.mark.parametrize("good", [np.zeros(500), np.ones(500), np.arange(20) % 2])
def test_what_cannot_be_learnt_from_is_refused(good):
    """Nothing good, nothing bad, or too little of both."""
    with pytest.raises(CalibrationError, match=f"en-ko: {len(good)} sentences"):
        learn(EN_KO, samples(-np.ones(len(good)), good))


def test_the_command_writes_the_manifest_and_quantizing_takes_it_out(trained, tmp_path):
    """Two numbers a direction; another bundle would need others."""
    lines = (trained.toy.corpora / "dev.tsv").read_text("utf-8").splitlines()
    wrong = [f"{line.split()[0]}\t{'m' * 9}" for line in lines]
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("\n".join([*lines, *wrong]) + "\n", "utf-8")
    path = tmp_path / "float32"
    shutil.copytree(trained.bundle.path, path)
    output = run_command("calibrate", str(path), str(pairs))
    assert "expected calibration error" in output
    assert "confidence en-ko" in (path / "README.md").read_text("utf-8")
    specs = load_bundle(path).manifest.confidence
    assert [spec.direction for spec in specs] == ["en-ko", "ko-en"]
    assert all(spec.slope >= 0 for spec in specs)
    copy = dataclasses.replace(trained, bundle=load_bundle(path))
    run_command(*quantize_arguments(copy, tmp_path / "int8"))
    assert load_bundle(tmp_path / "int8").manifest.confidence == ()


def test_too_few_pairs_are_one_line_and_no_traceback(trained, tmp_path):
    """As everything that a user can mend."""
    pairs = tmp_path / "few.tsv"
    pairs.write_text("a\tb\n", "utf-8")
    result = CliRunner().invoke(app, ["calibrate", str(trained.bundle.path), str(pairs)])
    assert isinstance(result.exception, CalibrationError)
