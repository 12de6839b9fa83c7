"""The targets of the fuzzer, with a hundred inputs that nothing leads. `make fuzz` looks longer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import SEEDS, TARGETS, Requests

INPUTS = st.binary(max_size=300) | st.builds(
    lambda seed, at, more: seed[: at % len(seed)] + more + seed[at % len(seed) :],
    st.sampled_from(SEEDS),
    st.integers(0, 1000),
    st.binary(max_size=20),
)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=100, deadline=None)
@given(data=INPUTS)
def test_no_input_breaks_a_promise(name, data):
    """Whatever it is."""
    TARGETS[name](data)


@pytest.fixture(scope="module")
def requests():
    """One application for all inputs."""
    requests = Requests()
    yield requests
    requests.close()


@settings(max_examples=100, deadline=None)
@given(data=INPUTS)
def test_no_body_makes_the_server_fail(requests, data):
    """Whatever it is."""
    requests(data)
