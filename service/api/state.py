"""What the handlers share: the models, the translator over them, and whether they can be used."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from service.access.access import Access
from service.api.checks import RequestLimits
from service.documents.jobs import DocumentJobs
from service.glossary_store import GlossaryStore
from service.lifecycle.repository import ModelRepository
from service.metrics import Metrics
from service.translation.translator import Translator


class NotReady(Exception):
    """No model can be used: not yet, or not at all. The message says why."""


@dataclass(frozen=True, slots=True)
class Service:
    """Serves what the repository has, from the moment that it has something."""

    metrics: Metrics
    limits: RequestLimits
    access: Access
    documents: DocumentJobs
    glossaries: GlossaryStore
    repository: ModelRepository
    any_translator: Translator
    """Also while there is no model."""

    @property
    def translator(self) -> Translator:
        """Raises NotReady while there is no model."""
        if not self.repository.started or not self.any_translator.catalogue.models:
            raise NotReady(self._why_not())
        return self.any_translator

    def check_started(self) -> None:
        """Raises NotReady until the first model is ready, or nothing is left to be tried."""
        if not self.repository.started:
            raise NotReady(self._why_not())

    def check_ready(self) -> None:
        """Raises NotReady unless there is a model and each takes work."""
        models = self.translator.catalogue.models.items()
        stopped = [name for name, model in models if not model.healthy]
        if stopped:
            raise NotReady(f"stopped: {', '.join(stopped)}")

    def _why_not(self) -> str:
        if not self.repository.started:
            return "models are being loaded"
        faults = self.repository.faults
        return f"no model is usable: {'; '.join(faults) or 'none is loaded'}"


async def _service_of(request: Request) -> Service:  # async, or each call would change threads
    return cast(Service, request.app.state.service)


ServiceOf = Annotated[Service, Depends(_service_of)]
