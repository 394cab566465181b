"""Job types and answers that several scenarios share."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from e2e.history import PodLife

Json = dict[str, Any]

DEMO: Final = "bullpen-demo:e2e"
DEBIAN: Final = "debian:bookworm-slim"
SMALL: Final[Json] = {"limits": {"memory": "128Mi"}, "requests": {"cpu": "10m", "memory": "32Mi"}}
QUICK: Final[Json] = {"max": 20, "delay": "1s"}
ROLE: Final = "bullpen.dev/role"
"""Label of the worker node."""

COMPLETED: Final = ["added", "waiting", "active", "completed"]
GIVEN_BACK_ONCE: Final = ["added", "waiting", "active", "delayed", "waiting", "active", "completed"]
RETRIED_ONCE: Final = ["added", "waiting", "active", "waiting", "active", "completed"]
"""A counted failure of a job without a backoff."""


def given_back(times: int) -> list[str]:
    """Tell the story of a job that was given back so often, then completed."""
    return ["added", "waiting", *["active", "delayed", "waiting"] * times, "active", "completed"]


def sleeper(grace_s: int = 5, *, linger_s: int = 0, **more: Any) -> list[Json]:
    """A managed job type that sleeps, on the worker if that takes pods; with `linger_s` it is told late to end."""
    pod: Json = {"terminationGracePeriodSeconds": grace_s, "affinity": _near_the_worker()}
    if linger_s:
        pod["containers"] = [{"name": "runner", "lifecycle": {"preStop": {"sleep": {"seconds": linger_s}}}}]
    base = {"name": "demo-sleep", "image": DEMO, "resources": SMALL, "giveBack": QUICK, "podTemplate": {"spec": pod}}
    return [base | more]


def script(text: str, *, pod: Json | None = None, container: Json | None = None, **more: Any) -> list[Json]:
    """A plain job type `sh` that runs a shell script; *pod* and *container* are added to its podTemplate."""
    main = {"name": "main", "command": ["/bin/sh", "-c", text]} | (container or {})
    spec = {
        "terminationGracePeriodSeconds": 5,
        "securityContext": {"runAsUser": 65534},
        "affinity": _near_the_worker(),
        "containers": [main],
    }
    resources = {"limits": {"memory": "64Mi"}, "requests": {"cpu": "10m", "memory": "16Mi"}}
    base = {"name": "sh", "runner": "plain", "image": DEBIAN, "giveBack": QUICK, "resources": resources}
    return [base | {"podTemplate": {"spec": spec | (pod or {})}} | more]


def _near_the_worker() -> Json:
    preferred = {"matchExpressions": [{"key": ROLE, "operator": "In", "values": ["worker"]}]}
    return {
        "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": preferred}]}
    }


def assert_never_two_at_once(lives: list[PodLife]) -> None:
    """The kubelet's own times: the next pod of a job was made when the one before had ended."""
    for before, after in pairwise(lives):
        assert before.ended, f"{after.name} was made while nobody had said that {before.name} ended"
        assert before.ended <= after.created, f"{after.name} was made at {after.created}, before {before}"


def seconds_between(earlier: str, later: str) -> float:
    """Tell the seconds between two of Kubernetes' times."""
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
