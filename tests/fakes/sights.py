"""Pods and KubeJobs as tests want them seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bullpen_operator.seen import (
    Attempt,
    AttemptSettings,
    Condition,
    KubeJobSeen,
    PodPhase,
    PodSeen,
    Terminated,
    Waiting,
)

NOW: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
TOKEN: Final = "bullpen/inst/aaaa"
UID: Final = "uid-1"
FENCE: Final = f"{TOKEN}#{UID}"


def an_attempt(token: str = TOKEN, job_id: str = "7", **settings: Any) -> Attempt:
    return Attempt("ns/jq", "bull", "q", job_id, "resize", token, 1, AttemptSettings(**settings))


def a_pod(**fields: Any) -> PodSeen:
    """Pending unless told otherwise."""
    return PodSeen(**{"uid": UID, "name": "pod-1", "node": "node-1"} | fields)


def running(**fields: Any) -> PodSeen:
    return a_pod(**{"phase": PodPhase.RUNNING, "started": True, "node_ready": True} | fields)


def ended(code: int, reason: str = "", message: str = "", **fields: Any) -> PodSeen:
    """The kubelet said that the main container terminated."""
    phase = PodPhase.SUCCEEDED if code == 0 else PodPhase.FAILED
    end = Terminated(code, reason or ("Completed" if code == 0 else "Error"), message)
    return a_pod(**{"phase": phase, "started": True, "node_ready": True, "terminated": end} | fields)


def failed(reason: str = "", **fields: Any) -> PodSeen:
    """Phase Failed without a container that ever ran."""
    return a_pod(**{"phase": PodPhase.FAILED, "reason": reason} | fields)


def waits(reason: str, message: str = "") -> PodSeen:
    return a_pod(waiting=Waiting(reason, message))


def kube_job(
    *pods: PodSeen, attempt: Attempt | None = None, age_s: float = 5.0, failed: str = "", **fields: Any
) -> KubeJobSeen:
    """A KubeJob made *age_s* ago; *failed*: reason of its conditions FailureTarget and Failed."""
    conditions = (Condition("FailureTarget", failed), Condition("Failed", failed)) if failed else ()
    created = NOW - timedelta(seconds=age_s)
    defaults: dict[str, Any] = {"attempt": attempt or an_attempt(), "created_at": created, "pods": pods}
    return KubeJobSeen(name="bp-1", conditions=conditions, **defaults | fields)
