"""Writes Kubernetes Events about JobQueues: `kubectl describe jq` and `kubectl events` show them for an hour."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from bullpen_operator.entries import Entry
from bullpen_operator.kube import KubeApi, KubeError, core
from bullpen_operator.model import API_VERSION, KIND
from bullpen_operator.news import News, Said, news, said_by

logger = logging.getLogger(__name__)

MESSAGE_LIMIT: Final = 1024
"""Of the API server's."""


class Announcer:
    """Says what changed, best effort; remembers what it said."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._said: dict[str, Said] = {}

    async def tell(self, entry: Entry, status: Mapping[str, Any]) -> None:
        """Say what is new in *status*, which is about to be written over the one that *entry* holds."""
        before = self._said.setdefault(entry.full_name, said_by(entry.status))
        fresh, self._said[entry.full_name] = news(before, status)
        for one in fresh:
            await self._post(entry, one)

    def forget(self, full_names: set[str]) -> None:
        """Keep only what was said of *full_names*."""
        self._said = {name: said for name, said in self._said.items() if name in full_names}

    async def _post(self, entry: Entry, one: News) -> None:
        try:
            await self._api.create(core(entry.namespace, "events"), event_of(entry, one, datetime.now(UTC)))
        except KubeError as error:
            logger.debug("could not post an event", extra={"jobqueue": entry.full_name, "error": str(error)})


def event_of(entry: Entry, one: News, now: datetime) -> dict[str, Any]:
    """Render the Event; its name is of no use to anybody and must only be another's."""
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    about = {"namespace": entry.namespace, "name": entry.name}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": entry.namespace, "name": f"{entry.name[:200]}.{uuid.uuid4().hex[:16]}"},
        "involvedObject": {"apiVersion": API_VERSION, "kind": KIND, "uid": entry.uid, **about},
        "type": one.type,
        "reason": one.reason,
        "message": one.message[:MESSAGE_LIMIT],
        "source": {"component": "bullpen"},
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
    }
