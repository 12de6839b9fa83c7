"""Decoding lists of sentences with a search of one's choice."""

from service.engine.search import SearchInput
from service.engine.strategies import open_search


def decode(model, inputs, special_ids, kind=open_search):
    """Hypotheses of every input, in order, decoded in one batch by a kind of search."""
    return run_schedule(model, inputs, special_ids, [len(inputs)], kind)


def run_schedule(model, inputs, special_ids, joins, kind=open_search):
    """As `decode`, but before step i the next `joins[i]` inputs join those that run."""
    found = {}
    waiting = list(enumerate(inputs))
    running = kind(model, inputs[0].options.beam_size, *special_ids)
    schedule = iter(joins)
    while waiting or running.keys:
        count = next(schedule, len(waiting))
        if count and waiting:
            running.join(waiting[:count])
            del waiting[:count]
        if running.keys:
            for index, hypotheses in running.step():
                assert index not in found
                found[index] = hypotheses
    return [found[i] for i in range(len(inputs))]


def inputs_of(sources, options):
    """The same options for every source."""
    return [SearchInput(source, options) for source in sources]
