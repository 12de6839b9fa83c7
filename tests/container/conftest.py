"""Tests of the image with a real Docker engine: `make test-container`."""

import os

import pytest

from tests.container import engine


@pytest.fixture(scope="session", autouse=True)
def _engine() -> None:
    """These tests take minutes, so they run only where they are asked for."""
    if not os.environ.get("SEQ2SERVE_TEST_CONTAINER"):
        pytest.skip("tests of the image run with `make test-container`")
    if not engine.answers():
        pytest.skip("no Docker engine answers")


@pytest.fixture(scope="session")
def image(_engine) -> str:
    """The image, built from this checkout."""
    return engine.build("Dockerfile", "seq2serve:test")
