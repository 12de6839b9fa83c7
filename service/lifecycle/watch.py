"""Follows the models directory: what appears or changes is loaded, what disappears is retired.

A bundle counts once two looks have found it alike, so one that is still being copied is left alone.
What failed, or was unloaded by hand, is left out until it changes.
"""

import asyncio
import logging

from service.lifecycle.directory import FoundBundle, Inventory
from service.lifecycle.model import Model
from service.lifecycle.repository import ModelRepository

logger = logging.getLogger(__name__)


class DirectoryWatch:
    """Looks again and again, as long as `run` is not cancelled."""

    def __init__(self, repository: ModelRepository) -> None:
        self._repository = repository
        self._before: Inventory | None = None

    async def run(self, seconds: float) -> None:
        """With so many seconds between two looks."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.look()
            except Exception:
                logger.exception("looking at the models directory failed")

    async def look(self) -> None:
        """Serves what is new, then retires what is gone."""
        now, before = await self._repository.look(), self._before
        self._before = now
        if before is None:
            return
        for found in now.bundles.values():
            last = before.bundles.get(found.key)
            if last is not None and last.stamp == found.stamp and self._is_news(found):
                await self._repository.try_to_serve(found)
        for model in self._repository.served.all():
            if self._is_gone(model, now) and self._is_gone(model, before):
                self._repository.retire(model, "gone")

    def _is_news(self, found: FoundBundle) -> bool:
        model = self._repository.served.get(found.key)
        seen = self._repository.left_out.get(found.key) if model is None else model.stamp
        failed = self._repository.left_out.get(found.key) == found.stamp
        return seen != found.stamp and not failed

    def _is_gone(self, model: Model, inventory: Inventory) -> bool:
        """Whether nothing is where it was, or what replaces it there is served."""
        if model.found is None or model.key in inventory.bundles:
            return False
        successors = [b for b in inventory.bundles.values() if b.path == model.found.path]
        if successors:
            return all(self._repository.served.get(b.key) is not None for b in successors)
        return model.found.path not in inventory.faults
