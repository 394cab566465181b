"""A mirror of one label-selected collection: list in pages, then watch; what is heard is kept and passed on.

kopf would read every pod of the namespace (it selects after decoding), so pods and KubeJobs are watched here.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from bullpen_operator.kube import KubeError, KubeRefusedError

logger = logging.getLogger(__name__)

T = TypeVar("T")

GONE = 410


class Source(Protocol):
    """The two requests a reflector makes."""

    def pages(self, path: str, selector: str = "") -> AsyncIterator[dict[str, Any]]:
        """List in pages."""

    def watch(self, path: str, selector: str, version: str, *, silence_s: float = ...) -> AsyncIterator[dict[str, Any]]:
        """Stream events from *version* on."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between a reflector's requests."""

    resync_s: float = 600.0
    """A full list this often, whatever the watch says: a missed event is found by it."""
    silence_s: float = 75.0
    first_delay_s: float = 0.5
    longest_delay_s: float = 30.0
    between_s: float = 0.1
    """Between a watch that the server ended and the next one."""


class Reflector(Generic[T]):
    """Keeps *translate*d objects by name, and calls *changed* with every object that came, changed or went.

    An object that vanished while nothing was heard (between two watches) is passed on as gone when the next list
    lacks it: its last known state is the tombstone.
    """

    def __init__(
        self,
        source: Source,
        path: str,
        selector: str,
        translate: Callable[[Mapping[str, Any]], T | None],
        changed: Callable[[T], None],
        pace: Pace | None = None,
    ) -> None:
        self._source = source
        self._path = path
        self._selector = selector
        self._translate = translate
        self._changed = changed
        self._pace = pace or Pace()
        self._turned = time.monotonic()
        self._failures = 0
        self.objects: dict[str, T] = {}
        """What is there, by name. Complete once `synced` is set."""
        self.synced = asyncio.Event()
        self.lists = 0
        """How often everything was listed."""
        self.events = 0
        """How many events were heard, bookmarks included."""

    @property
    def age_s(self) -> float:
        """Seconds since it last turned: the API server was heard (a bookmark will do), or tried in vain."""
        return time.monotonic() - self._turned

    @property
    def answered(self) -> bool:
        """Whether the last attempt to hear the API server was no failure."""
        return not self._failures and self.synced.is_set()

    async def run(self) -> None:
        """Mirror until cancelled; trouble of the API server only delays it."""
        while True:
            try:
                version = await self._list()
                await self._watch(version)
            except KubeError as error:
                await self._back_off("reflector lost the API server", error)

    async def _list(self) -> str:
        fresh: dict[str, T] = {}
        version = ""
        async for page in self._source.pages(self._path, self._selector):
            version = page["metadata"]["resourceVersion"]
            for item in page.get("items") or ():
                seen = self._translate(item)
                if seen is not None:
                    fresh[item["metadata"]["name"]] = seen
        self._replace(fresh)
        self.lists += 1
        self._turned = time.monotonic()
        self.synced.set()
        return version

    def _replace(self, fresh: dict[str, T]) -> None:
        before, self.objects = self.objects, fresh
        for name, seen in fresh.items():
            if before.pop(name, None) != seen:
                self._changed(seen)
        for tombstone in before.values():
            self._changed(tombstone)

    async def _watch(self, version: str) -> None:
        """Follow the collection until it has to be listed again: its history is gone, or a resync is due.

        The server ends each stream after WATCH_S, so a resync is late by that much at most.
        """
        resync_at = time.monotonic() + self._pace.resync_s
        while time.monotonic() < resync_at:
            try:
                stream = self._source.watch(self._path, self._selector, version, silence_s=self._pace.silence_s)
                async for event in stream:
                    version = self._hear(event) or version
                await asyncio.sleep(self._pace.between_s)
            except KubeRefusedError as error:
                if error.status == GONE:
                    return
                raise
            except KubeError as error:
                # A stream that broke has lost nothing yet: the next one begins at the last version heard.
                await self._back_off("watch broke and will be resumed", error)

    def _hear(self, event: Mapping[str, Any]) -> str | None:
        """Take in one event and return the version it brings."""
        self._turned, self._failures = time.monotonic(), 0
        self.events += 1
        kind, item = event.get("type"), event.get("object") or {}
        if kind == "ERROR":
            code = int(item.get("code") or 500)
            raise KubeRefusedError(code, str(item.get("reason")), str(item.get("message")))
        if kind != "BOOKMARK":
            self._take(str(kind), item)
        version = (item.get("metadata") or {}).get("resourceVersion")
        return str(version) if version else None

    def _take(self, kind: str, item: Mapping[str, Any]) -> None:
        seen, name = self._translate(item), item["metadata"]["name"]
        if seen is None or kind == "DELETED":
            last = self.objects.pop(name, None)
            seen = seen or last
        else:
            self.objects[name] = seen
        if seen is not None:
            self._changed(seen)

    async def _back_off(self, what: str, error: KubeError) -> None:
        delay = self._delay(error)
        self._turned = time.monotonic()
        self._failures += 1
        extra = {"path": self._path, "error": str(error), "again_in_s": round(delay, 1)}
        logger.warning(what, extra=extra)
        await asyncio.sleep(delay)

    def _delay(self, error: KubeError) -> float:
        advice = error.retry_after_s if isinstance(error, KubeRefusedError) else None
        if advice is not None:
            return advice
        longest = min(self._pace.longest_delay_s, self._pace.first_delay_s * 2.0 ** min(self._failures, 10))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
