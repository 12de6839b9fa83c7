"""Sentences that wait, in the order in which they are due. Knows no workers and takes no locks.

The sentences of a request are due one after the other, as fast as they would be decoded if nobody
else were there. So a short request does not wait for the rest of a long one that came before; but
when something is due is settled as it comes, so time alone brings everybody to the front.
"""

from bisect import insort
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum

from service.engine.request import Decoded
from service.engine.search import SearchInput

BULK_SECONDS = 30.0
"""How much later bulk is due than what a person waits for."""
LATEST_SECONDS = 30.0
"""The last sentence of a long request is due at most so much later than its first."""
FEW = 8
"""So many sentences are put in their places one by one; more are sorted in."""


class Standing(Enum):
    """How sentences stand to those of others."""

    INTERACTIVE = "somebody waits for them"
    BULK = "they yield to others, but not for ever"
    ACCEPTED = "they belong to a request that was let in before, and are never turned away"


@dataclass(frozen=True, slots=True, eq=False)
class Ticket:
    """A sentence on its way. Cancelling the future gives its place to others."""

    input: SearchInput
    arrived: float
    due: float = 0.0
    future: Future[Decoded] = field(default_factory=Future)

    @property
    def length(self) -> int:
        """Source pieces."""
        return len(self.input.source)

    @property
    def beam_size(self) -> int:
        """Rows that the sentence takes."""
        return self.input.options.beam_size


def tickets_of(
    inputs: Sequence[SearchInput],
    now: float,
    speed: float,
    standing: Standing = Standing.INTERACTIVE,
) -> list[Ticket]:
    """Tickets for the sentences of a request; `speed` is in source pieces a second."""
    first = now + (BULK_SECONDS if standing is Standing.BULK else 0.0)
    tickets, pieces = [], 0
    for each in inputs:
        tickets.append(Ticket(each, now, first + min(pieces / speed, LATEST_SECONDS)))
        pieces += len(each.source)
    return tickets


class WaitingLine:
    """What waits, soonest due first; of equals, who came first."""

    def __init__(self) -> None:
        self._tickets: list[Ticket] = []
        self._left = False  # whether somebody may have left since they were last looked for
        self.tokens = 0
        """Source pieces of all, perhaps with some that nobody waits for any more."""

    def __len__(self) -> int:
        return len(self._tickets)

    def add(self, tickets: Sequence[Ticket]) -> None:
        """Everybody in their place."""
        if len(tickets) <= FEW:
            for ticket in tickets:
                insort(self._tickets, ticket, key=_due)
        else:
            self._tickets += tickets
            self._tickets.sort(key=_due)
        for ticket in tickets:
            self.tokens += ticket.length
            ticket.future.add_done_callback(self._note)

    def ahead(self, count: int) -> list[Ticket]:
        """Who is among the next `count`, without those that have left."""
        # Asked at every step, so that only the head of a long line is looked at.
        near = self._tickets[:count]
        stay = [ticket for ticket in near if not ticket.future.cancelled()]
        if len(stay) < len(near):
            self._replace(near, stay)
        return stay

    def take(self, ahead: Sequence[Ticket], chosen: Iterable[Ticket]) -> None:
        """Some of those that are ahead leave the line."""
        taken = set(chosen)
        self._replace(ahead, [ticket for ticket in ahead if ticket not in taken])

    def purge(self) -> None:
        """Looks for those that have left, everywhere, if there can be any."""
        if self._left:
            self._left = False
            stay = [ticket for ticket in self._tickets if not ticket.future.cancelled()]
            self._replace(self._tickets, stay)

    def clear(self) -> list[Ticket]:
        """Everybody leaves -> who it was."""
        left, self._tickets, self.tokens = self._tickets, [], 0
        return left

    def _replace(self, near: Sequence[Ticket], stay: Sequence[Ticket]) -> None:
        self.tokens -= sum(map(_length, near)) - sum(map(_length, stay))
        self._tickets[: len(near)] = stay

    def _note(self, future: Future[Decoded]) -> None:
        # Called by whoever cancels, without a lock: so it only leaves a note.
        if future.cancelled():
            self._left = True


def _due(ticket: Ticket) -> float:
    return ticket.due


def _length(ticket: Ticket) -> int:
    return ticket.length
