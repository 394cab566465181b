"""Removes bare pods that ended: a KubeJob has a time to live, a pod has none."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from bullpen_operator.classify import over
from bullpen_operator.kube import KubeApi, KubeError, core
from bullpen_operator.manifest import TTL_S
from bullpen_operator.namespace_mirror import NamespaceMirror
from bullpen_operator.seen import KubeJobSeen

logger = logging.getLogger(__name__)

INTERVAL_S: Final = 60.0
AT_ONCE: Final = 200
"""Pods removed in a round: what is left goes with the next."""
UNRECORDED_S: Final = 24 * 3600
"""Age at which one goes that nobody recorded: its JobQueue is gone, or served elsewhere."""


class Janitor:
    """Looks into the mirrors, and asks the API server only for what is to go."""

    def __init__(
        self,
        api: KubeApi,
        mirrors: Mapping[str, NamespaceMirror],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._api = api
        self._mirrors = mirrors
        self._now = now
        self._turned = time.monotonic()

    @property
    def age_s(self) -> float:
        """Seconds since the last round."""
        return time.monotonic() - self._turned

    async def run(self) -> None:
        """Tidy until cancelled; trouble of the API server only delays it."""
        while True:
            await asyncio.sleep(INTERVAL_S)
            try:
                await self.round()
            except KubeError as error:
                logger.warning("could not remove ended pods", extra={"error": str(error)})
            self._turned = time.monotonic()

    async def round(self) -> None:
        """Remove what has been there for long enough; raises KubeError."""
        now = self._now()
        due = [
            (namespace, seen.name)
            for namespace, mirror in self._mirrors.items()
            for seen in mirror.bare_attempts()
            if expired(seen, now)
        ]
        for namespace, name in due[:AT_ONCE]:
            await self._api.delete(core(namespace, "pods", name), "Background")


def expired(seen: KubeJobSeen, now: datetime) -> bool:
    """Whether a bare pod has ended and been kept for as long as an ended KubeJob is."""
    if not seen.bare or seen.deleting or not over(seen):
        return False
    if seen.recorded_at is not None:
        return (now - seen.recorded_at).total_seconds() >= TTL_S
    return (now - seen.created_at).total_seconds() >= UNRECORDED_S
