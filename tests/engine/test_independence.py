"""Whoever else is decoded at the same time: the shipped int8 models answer bit by bit the same.

With a vocabulary shortlist the hypotheses are the same, and scores but for the order in which
their normaliser is summed up.
"""

from pathlib import Path
from random import Random

import pytest

from service.engine.bundle import load_bundle
from service.engine.model_loader import open_model
from service.engine.request import DecodingOptions
from service.engine.vocabulary import load_vocabulary
from tests.decoding import decode, inputs_of, run_schedule

MODELS = sorted(path.parent for path in Path("models").glob("*/manifest.json"))
TEXTS = (
    "Hello.",
    "The weather is nice today, so we went for a walk along the river.",
    "Where is the nearest station?",
    "Yes",
    "I have been waiting for you since three o'clock, but nobody told me that the train was late.",
    "Please send me the report by Friday; I need it for the meeting with our partners from Seoul.",
    "She reads.",
    "My brother's dog likes cold water and long naps in the shade of the old tree.",
    "Thank you very much!",
    "",
)


@pytest.fixture(scope="module", params=MODELS, ids=lambda path: path.name)
def shipped(request):
    """A model, the sources of some texts and its special ids."""
    bundle = load_bundle(request.param)
    vocabulary = load_vocabulary(bundle)
    target = bundle.manifest.directions[0].target
    sources = [vocabulary.encode_source(text, target) for text in TEXTS]
    ids = vocabulary.bos_id, vocabulary.eos_id
    return open_model(bundle), sources, ids, bundle.manifest.shortlist is None


def assert_alike(found, alone, to_the_bit):
    """The same ids in the same order, and the same scores."""
    if to_the_bit:
        assert found == alone
        return
    for a, b in zip(found, alone, strict=True):
        assert [(h.ids, h.finish_reason) for h in a] == [(h.ids, h.finish_reason) for h in b]
        assert [h.score for h in a] == pytest.approx([h.score for h in b], abs=1e-5)


@pytest.mark.parametrize("beam_size", [1, 4])
def test_neighbours_change_no_bit(shipped, beam_size):
    """Sentences that join and leave at random steps have the scores that they have alone."""
    model, sources, special_ids, to_the_bit = shipped
    options = DecodingOptions(beam_size, beam_size, 1.0, 40)
    inputs = inputs_of(sources, options)
    alone = [decode(model, [each], special_ids)[0] for each in inputs]
    assert_alike(decode(model, inputs, special_ids), alone, to_the_bit)
    for seed in range(4):
        random = Random(seed)
        order = random.sample(range(len(inputs)), len(inputs))
        joins = [random.choice([0, 0, 0, 1, 2, 3]) for _ in range(30)]
        found = run_schedule(model, [inputs[i] for i in order], special_ids, joins)
        assert_alike(found, [alone[i] for i in order], to_the_bit)
