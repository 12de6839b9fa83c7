"""What can be asked for: which model translates which direction, in one step or in two."""

from collections.abc import Iterable, Mapping, Sequence

from service.engine.bundle import Direction
from service.errors import NoAlignment, UnknownModel, UnsupportedDirection
from service.lifecycle.model import Model
from service.lifecycle.served import ServedModels
from service.translation.pivot import pivots


class Catalogue:
    """The models that are served at this moment; the first that serves a direction is its default.
    With `pivot` two of them may do a direction that none does alone."""

    def __init__(self, served: ServedModels, pivot: bool = False) -> None:
        self.served = served
        self._pivot = pivot

    @property
    def models(self) -> Mapping[str, Model]:
        """Every model, by the name that requests use."""
        return self.served.by_name

    def sources(self, model: str | None, target: str) -> tuple[str, ...]:
        """The languages that are translated into `target`. Raises UnknownModel."""
        served = self.directions(model)
        return tuple(dict.fromkeys(d.source for d in served if d.target == target))

    def directions(self, model: str | None = None) -> Mapping[Direction, str | None]:
        """What is served, by one model or by all; a direction of two steps with the language in
        the middle. Raises UnknownModel."""
        served = [d for each in self.asked(model) for d in each.manifest.directions]
        steps = pivots(served) if self._pivot and model is None else {}
        return {**dict.fromkeys(served), **steps}

    def middle(
        self, model: str | None, direction: Direction, alignment: bool = False
    ) -> str | None:
        """The language in the middle if a direction takes two steps, None if a model does it in
        one. Raises RequestError if nothing does."""
        middle = self.directions(model).get(direction)
        if middle is None:
            self.choose(model, direction, alignment)
        elif alignment:
            raise NoAlignment(
                "alignment", f"{direction} goes by way of {middle}, so words cannot be linked"
            )
        return middle

    def asked(self, name: str | None) -> Sequence[Model]:
        """The named model, or all that are a default. Raises UnknownModel."""
        if name is None:
            return self.served.defaults
        model = self.served.find(name)
        if model is None:
            listing = _listing("model", self.models)
            raise UnknownModel("model", f"unknown model {name!r}; {listing}")
        return [model]

    def choose(self, name: str | None, direction: Direction, alignment: bool = False) -> Model:
        """The named model, or the direction's first. Raises RequestError that lists what is."""
        asked = self.asked(name)
        serving = [model for model in asked if direction in model.manifest.directions]
        if not serving:
            served = dict.fromkeys(str(d) for model in asked for d in model.manifest.directions)
            raise UnsupportedDirection(
                "target", f"cannot translate {direction}; {_listing('direction', served)}"
            )
        fitting = [model for model in serving if model.manifest.aligner or not alignment]
        if not fitting:
            able = [each for each, model in self.models.items() if model.manifest.aligner]
            raise NoAlignment(
                "alignment",
                f"{serving[0].manifest.name} has no attention to show; models with alignment: "
                f"{', '.join(able) or 'none'}",
            )
        return fitting[0]


def _listing(what: str, names: Iterable[str]) -> str:
    return f"available {what}s: {', '.join(names) or 'none'}"
