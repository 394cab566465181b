"""kopf's part: it hears of JobQueue objects and hands them on. Nothing is decided here.

Only raw events are subscribed to: kopf then writes nothing into the objects (no finalizers, no annotations). Events
that it misses are found by the roster, which reads everything again now and then.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

import kopf

from bullpen_operator.model import API_GROUP
from bullpen_operator.roster import Roster

_IDENTITY: Final = cast(Any, "bullpen")
"""Of no use without peering; kopf would look up the name of our user, which in a pod has none."""
_CLIENT_TIMEOUT_S: Final = 330.0
_SERVER_TIMEOUT_S: Final = 300  # an int: the API server refuses "300.0"


def registry_for(roster: Roster) -> kopf.OperatorRegistry:
    """Make the registry of the two handlers; nothing is kept in globals."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def log_in(**kwargs: Any) -> kopf.ConnectionInfo | None:
        """Use the pod's service account, else the kubeconfig; asked again whenever the API server says 401."""
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.event(API_GROUP, "v1alpha1", "jobqueues", registry=registry)
    async def on_jobqueue(event: kopf.RawEvent, **_: Any) -> None:
        """Pass on that a JobQueue is there, changed, or gone."""
        body = event["object"]
        if event["type"] == "DELETED":
            metadata = body["metadata"]
            await roster.gone(metadata["namespace"], metadata["name"], metadata["uid"])
        else:
            await roster.seen(body)

    return registry


def kopf_settings() -> kopf.OperatorSettings:
    """Set explicitly what kopf leaves open: a watch without timeouts can be dead for ever and look alive."""
    settings = kopf.OperatorSettings()
    settings.watching.server_timeout = _SERVER_TIMEOUT_S
    settings.watching.client_timeout = _CLIENT_TIMEOUT_S
    settings.watching.connect_timeout = 10.0
    settings.watching.inactivity_timeout = 75.0
    settings.networking.request_timeout = 30.0
    settings.networking.connect_timeout = 10.0
    settings.networking.enforce_retry_after = True
    settings.posting.enabled = False  # our own log lines are not to become Kubernetes Events
    settings.scanning.disabled = True  # it would need cluster-wide rights on namespaces and CRDs
    settings.process.ultimate_exiting_timeout = 30.0
    return settings


async def watch_jobqueues(
    roster: Roster, namespaces: tuple[str, ...], stop: asyncio.Event, ready: asyncio.Event
) -> None:
    """Run kopf until *stop*. Standalone: peering is no leader election, and two operators of ours are harmless."""
    await kopf.operator(
        registry=registry_for(roster),
        settings=kopf_settings(),
        namespaces=namespaces,
        standalone=True,
        identity=_IDENTITY,
        stop_flag=stop,
        ready_flag=ready,
    )
