"""The Redis and the graph stores of JobQueues: their Secrets are read, their connections shared."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bullpen_operator.entries import Fault
from bullpen_operator.graph_store import HttpStore, StorePlace, StorePlaceError
from bullpen_operator.kube import KubeApi, KubeRefusedError
from bullpen_operator.model import JobQueueSpec
from bullpen_operator.ports import Server, Store

FORBIDDEN = 403


class Backends:
    """What all JobQueues of an operator connect to."""

    def __init__(self, api: KubeApi, connect: Callable[[str, str | None], Server]) -> None:
        """*connect* makes the Redis of a URL and a CA (PEM or None)."""
        self._api = api
        self._connect = connect
        self._servers: dict[tuple[str, str | None], Server] = {}
        self._stores: dict[StorePlace, Store] = {}

    async def redis(self, namespace: str, spec: JobQueueSpec) -> tuple[str, str | None] | Fault:
        """Read where Redis is: URL and CA. Raises KubeError."""
        name = spec.redis.secret_ref.name
        secret = await self._api.secret(namespace, name)
        if secret is None:
            sentence = f"Secret {name!r} does not exist; create it with the key url (redis://...)"
            return Fault("SecretMissing", sentence)
        if not secret.get("url"):
            return Fault("SecretIncomplete", f"Secret {name!r} has no key url; add it (redis://...)")
        return secret["url"].strip(), secret.get("ca.crt") or None

    def server(self, url: str, ca: str | None) -> Server:
        """Share one connection among the JobQueues of one Redis: it makes one blocking wait for all."""
        place = (url, ca)
        if place not in self._servers:
            self._servers[place] = self._connect(url, ca)
        return self._servers[place]

    async def stores(self, namespace: str, spec: JobQueueSpec) -> tuple[Mapping[str, Store], Fault | None]:
        """Find the graph stores of the job types by the name of their Secret, and why one is missing.

        A missing one is no reason to serve nothing: its runners say for themselves what is wrong with it. Only what
        attempts leave that die can't be recorded then. Raises KubeError.
        """
        found: dict[str, Store] = {}
        fault = None
        for name in spec.graph_secrets():
            store = await self._store(namespace, name)
            if isinstance(store, Fault):
                fault = fault or store
            else:
                found[name] = store
        return found, fault

    async def _store(self, namespace: str, name: str) -> Store | Fault:
        lost, stuck = "attempts that die leave no record in the graph", "until then pods that need it can't start"
        try:
            secret = await self._api.secret(namespace, name)
        except KubeRefusedError as error:
            if error.status != FORBIDDEN:
                raise
            return Fault(
                "SecretForbidden", f"Secret {name!r} may not be read; name it in the chart's graphSecrets ({lost})"
            )
        if secret is None:
            return Fault("SecretMissing", f"Secret {name!r} does not exist; create it with the key url ({stuck})")
        if not secret.get("url"):
            return Fault("SecretIncomplete", f"Secret {name!r} has no key url; add it ({stuck})")
        place = StorePlace.of(secret)
        try:
            return self._stores.setdefault(place, HttpStore(place))
        except StorePlaceError as error:
            return Fault("SecretInvalid", f"Secret {name!r}: {error} ({lost})")
