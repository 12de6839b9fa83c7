"""What the handlers share: the translator once it is loaded, and whether it can be used."""

from collections.abc import Sequence
from typing import Annotated, cast

from fastapi import Depends, Request

from service.access.access import Access
from service.api.checks import RequestLimits
from service.documents.jobs import DocumentJobs
from service.glossary_store import GlossaryStore
from service.metrics import Metrics
from service.pipeline import Translator


class NotReady(Exception):
    """No model can be used: not yet, or not at all. The message says why."""


class Service:
    """Starts without a translator; the composition root hands it over when models are loaded."""

    def __init__(
        self,
        metrics: Metrics,
        limits: RequestLimits,
        access: Access,
        documents: DocumentJobs,
        glossaries: GlossaryStore,
    ) -> None:
        self.metrics = metrics
        self.limits = limits
        self.access = access
        self.glossaries = glossaries
        self.documents = documents
        self._translator: Translator | None = None
        self._unusable = "models are being loaded"

    def open(self, translator: Translator, faults: Sequence[str]) -> None:
        """Requests are served from now on; `faults` say which bundles were left out, and why."""
        self._translator = translator
        self._unusable = "" if translator.engines else f"no model is usable: {'; '.join(faults)}"

    def fail(self, reason: str) -> None:
        """Loading came to nothing."""
        self._unusable = reason

    @property
    def translator(self) -> Translator:
        """Raises NotReady while there is none with a model."""
        if self._translator is None or self._unusable:
            raise NotReady(self._unusable)
        return self._translator

    def check_ready(self) -> None:
        """Raises NotReady unless every loaded model takes work."""
        engines = self.translator.engines.items()
        stopped = [name for name, engine in engines if not engine.healthy]
        if stopped:
            raise NotReady(f"stopped: {', '.join(stopped)}")


async def _service_of(request: Request) -> Service:  # async, or each call would change threads
    return cast(Service, request.app.state.service)


ServiceOf = Annotated[Service, Depends(_service_of)]
