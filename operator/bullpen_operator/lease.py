"""Which of several operators serves: the one that holds a Lease (coordination.k8s.io), as controllers do everywhere.

It spares work and nothing more. Two that both believe they hold it do no harm: tokens, names and fences see to that.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from bullpen_operator.kube import KubeApi, KubeError, KubeRefusedError

logger = logging.getLogger(__name__)

DURATION_S: Final = 15.0
"""A holder that has not renewed for so long may be replaced (client-go's default, as the next two)."""
DEADLINE_S: Final = 10.0
"""A holder that could not renew for so long serves no more: before anybody else may begin."""
RETRY_S: Final = 2.0


class Move(StrEnum):
    """What one round comes to."""

    CREATE = "create"
    TAKE = "take"
    RENEW = "renew"
    WAIT = "wait"


@dataclass
class Observed:
    """What was seen of the Lease, and when it last changed: by our own clock, for others' may be wrong."""

    holder: str = ""
    renewed: str = ""
    changed_at: float = 0.0

    def see(self, lease: dict[str, Any] | None, identity: str, now: float) -> Move:
        """Decide by the Lease as it is now; None: there is none."""
        if lease is None:
            return Move.CREATE
        spec = lease.get("spec") or {}
        holder, renewed = str(spec.get("holderIdentity") or ""), str(spec.get("renewTime") or "")
        if (holder, renewed) != (self.holder, self.renewed):
            self.holder, self.renewed, self.changed_at = holder, renewed, now
        if holder == identity:
            return Move.RENEW
        expired = now - self.changed_at >= float(spec.get("leaseDurationSeconds") or DURATION_S)
        return Move.TAKE if not holder or expired else Move.WAIT


class Election:
    """One operator's part in it. `acquire`, then `keep` until it returns, then `release`."""

    def __init__(
        self, api: KubeApi, namespace: str, name: str, identity: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._clock = clock
        self._observed = Observed()
        self._turned = clock()

    @property
    def age_s(self) -> float:
        """Seconds since the Lease was last looked at, or tried in vain."""
        return self._clock() - self._turned

    async def acquire(self) -> None:
        """Return once we hold it; trouble of the API server only delays it."""
        logger.info("waiting for the lease", extra={"lease": self._name, "identity": self._identity})
        while not await self._guarded():  # noqa: ASYNC110 - the API server is asked; a watch would be one more verb
            await asyncio.sleep(RETRY_S)
        logger.info("holding the lease", extra={"lease": self._name, "identity": self._identity})

    async def keep(self) -> None:
        """Renew it; return when it is another's, or could not be renewed for DEADLINE_S."""
        renewed_at = self._clock()
        while self._clock() - renewed_at < DEADLINE_S:
            await asyncio.sleep(RETRY_S)
            if await self._guarded():
                renewed_at = self._clock()
            elif self._observed.holder != self._identity:
                break
        logger.warning("lost the lease", extra={"lease": self._name, "holder": self._observed.holder})

    async def release(self) -> None:
        """Leave it to whoever waits for it, if it is ours; best effort."""
        try:
            lease = await self._api.get(leases(self._namespace, self._name))
            if lease is not None and self._observed.see(lease, self._identity, self._clock()) is Move.RENEW:
                await self._write(lease, "")
        except KubeError as error:
            logger.debug("could not release the lease", extra={"error": str(error)})

    async def _guarded(self) -> bool:
        self._turned = self._clock()
        try:
            async with asyncio.timeout(DEADLINE_S / 2):
                return await self._round()
        except (KubeError, TimeoutError) as error:
            logger.warning("could not ask for the lease", extra={"lease": self._name, "error": str(error)})
            return False

    async def _round(self) -> bool:
        """Look, and write if it is ours to write; whether we hold it. Whoever wrote in between wins (409)."""
        lease = await self._api.get(leases(self._namespace, self._name))
        move = self._observed.see(lease, self._identity, self._clock())
        if move is Move.WAIT:
            return False
        try:
            if lease is None:
                await self._api.create(leases(self._namespace), self._body())
            else:
                await self._write(lease, self._identity)
        except KubeRefusedError as error:
            if error.status == 409:
                return False
            raise
        return True

    async def _write(self, lease: dict[str, Any], holder: str) -> None:
        spec = lease.get("spec") or {}
        now, taken = _now(), spec.get("holderIdentity") != holder
        fresh = {"holderIdentity": holder, "renewTime": now, "leaseDurationSeconds": int(DURATION_S)}
        if taken and holder:
            fresh |= {"acquireTime": now, "leaseTransitions": int(spec.get("leaseTransitions") or 0) + 1}
        version = (lease.get("metadata") or {}).get("resourceVersion")
        patch = {"metadata": {"resourceVersion": version}, "spec": fresh}
        await self._api.patch(leases(self._namespace, self._name), patch)
        self._observed = Observed(holder, now, self._clock())

    def _body(self) -> dict[str, Any]:
        now = _now()
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": int(DURATION_S),
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": 0,
            },
        }


def leases(namespace: str, name: str = "") -> str:
    """Path of the Leases of a namespace, or of one."""
    collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
    return f"{collection}/{name}" if name else collection


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
