"""What a benchmark is asked to do."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Plan:
    """The inputs and the page of one benchmark."""

    name: str
    """Its section of the page."""
    weights: Path
    """A float32 bundle."""
    bundle: Path
    """The same model as it is served."""
    output: Path
    """The page without its ending; plots stand beside it."""
    quick: bool
    """Whether little is measured, to see that everything runs."""

    @classmethod
    def of(cls, name: str, weights: Path, bundle: Path, output: Path | None, quick: bool) -> "Plan":
        """A quick run's figures are worth nothing, so they have a page of their own."""
        default = Path("build/benchmarks" if quick else "docs/benchmarks")
        return cls(name, weights, bundle, output or default, quick)

    @property
    def command(self) -> str:
        """What repeats it."""
        return f"make bench-{self.name}" + (" QUICK=1" if self.quick else "")

    def plot(self, what: str) -> Path:
        """Where a plot belongs."""
        return self.output.with_name(f"{self.output.name}-{what}.png")
