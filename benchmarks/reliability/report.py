"""What a run has seen, and whether it is what was promised."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one request: its status, or None where the connection ended without an answer."""

    seconds: float
    status: int | None
    right: bool = True
    """Whether a 200 is the reference's answer."""
    cut: bool = False
    """Whether the client itself left."""
    retry_after: bool = True
    """Whether an answer that says "later" says when."""


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all is not above; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@dataclass(slots=True)
class Report:
    """Rows of a table, and the promises that were not kept."""

    rows: list[tuple[str, str]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def say(self, name: str, value: object) -> None:
        """One more row."""
        self.rows.append((name, f"{value:,}" if isinstance(value, int) else str(value)))

    def promise(self, kept: bool, words: str) -> None:
        """One more thing that must hold."""
        if not kept:
            self.broken.append(words)

    def count(self, outcomes: Sequence[Outcome], allowed: Sequence[int]) -> None:
        """Rows and promises of all requests; `allowed` are answers besides 200 and 429."""
        stayed = [outcome for outcome in outcomes if not outcome.cut]
        status = Counter(outcome.status for outcome in stayed)
        answered = [outcome for outcome in stayed if outcome.status == 200]
        wrong = sum(not outcome.right for outcome in answered)
        refused = {code: status[code] for code in allowed if status[code]}
        lost = len(stayed) - len(answered) - status[429] - sum(refused.values())
        self.say("requests sent", len(outcomes))
        if len(stayed) < len(outcomes):
            self.say("of these, cut off by the client", len(outcomes) - len(stayed))
        self.say("turned away with 429", status[429])
        self.say("accepted", len(stayed) - status[429])
        self.say("answered", len(answered))
        for code, number in refused.items():
            self.say(f"told {code}", number)
        self.say("wrong", wrong)
        self.say("lost", lost)
        times = [outcome.seconds for outcome in answered]
        self.say("p50 of the answered", f"{percentile(times, 0.5):.2f} s")
        self.say("p99 of the answered", f"{percentile(times, 0.99):.2f} s")
        self.promise(bool(answered), "nothing was answered")
        self.promise(wrong == 0, f"{wrong} answers differ from the reference")
        self.promise(lost == 0, f"{lost} requests were lost: {dict(status)}")
        silent = sum(not outcome.retry_after for outcome in stayed)
        self.promise(silent == 0, f"{silent} answers say later, but not when")

    def table(self) -> str:
        """The rows in Markdown."""
        return "\n".join(
            ["| what | measured |", "|---|---|", *(f"| {n} | {v} |" for n, v in self.rows)]
        )
