"""KubeJobs and bare pods whose JobQueue was deleted, or turned to another queue, while no operator ran. Pure.

Their jobs are still active: somebody has to settle them. All that takes is in the objects themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bullpen_operator import naming
from bullpen_operator.model import ANY_NAME, JobQueueSpec
from bullpen_operator.podrules import RUNNER
from bullpen_operator.seen import Attempt, KubeJobSeen
from bullpen_operator.seen_from import kube_job_seen, owned_pod
from bullpen_protocol.assignment import VARIABLES
from bullpen_protocol.plain import WATCH

Json = Mapping[str, Any]
_Identity = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Leftover:
    """A queue that nobody serves any more, as far as its last attempts tell."""

    namespace: str
    name: str
    installation: str
    spec: JobQueueSpec
    """Suspended: nothing is claimed by it."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What the object of an attempt that is not recorded yet says of where it belongs."""

    attempt: Attempt
    redis_secret: str


def trace_of(body: Json) -> Trace | None:
    """Read a KubeJob or pod; None: it is recorded, or nothing of ours, or a KubeJob owns it and says the same."""
    seen = _seen(body)
    return Trace(seen.attempt, _redis_secret(body)) if seen is not None and not seen.recorded else None


def leftovers(traces: Iterable[Trace], jobqueues: Iterable[Json]) -> list[Leftover]:
    """Find what attempts belong to where no JobQueue serves it."""
    served = {_served(body) for body in jobqueues}
    secrets: dict[_Identity, str] = {}
    attempts: dict[_Identity, list[Attempt]] = {}
    for trace in traces:
        identity = (trace.attempt.jobqueue, trace.attempt.prefix, trace.attempt.queue)
        if identity not in served and trace.redis_secret:
            secrets[identity] = trace.redis_secret
            attempts.setdefault(identity, []).append(trace.attempt)
    return [_leftover(attempts[identity], secret) for identity, secret in secrets.items()]


def job_types_of(attempts: Iterable[Attempt]) -> list[Json]:
    """Render job types that serve no more than to name the graph stores of *attempts*, which get their records."""
    graphs = sorted({attempt.settings.graph for attempt in attempts} - {""})
    return [{"name": ANY_NAME}, *({"name": graph, "graph": {"secretRef": {"name": graph}}} for graph in graphs)]


def _served(body: Json) -> _Identity:
    metadata, spec = body.get("metadata") or {}, body.get("spec") or {}
    full_name = f"{metadata.get('namespace')}/{metadata.get('name')}"
    return full_name, str(spec.get("prefix") or "bull"), str(spec.get("queue"))


def _leftover(attempts: Sequence[Attempt], secret: str) -> Leftover:
    attempt = attempts[-1]
    namespace, _, name = attempt.jobqueue.partition("/")
    spec = JobQueueSpec.model_validate(
        {
            "queue": attempt.queue,
            "prefix": attempt.prefix,
            "redis": {"secretRef": {"name": secret}},
            "lockDuration": f"{attempt.settings.lock_ms}ms",
            "suspend": True,
            "jobTypes": job_types_of(attempts),
        }
    )
    return Leftover(namespace, name, naming.installation_of(attempt.token), spec)


def _seen(body: Json) -> KubeJobSeen | None:
    if "template" in (body.get("spec") or {}):
        return kube_job_seen(body)
    owned = owned_pod(body)
    return owned.orphan if owned is not None and owned.orphan is not None and owned.orphan.bare else None


def _redis_secret(body: Json) -> str:
    """Read the name of the Secret that the pod gets Redis' URL from."""
    spec = body["spec"]
    spec = spec["template"]["spec"] if "template" in spec else spec
    containers = [*(spec.get("initContainers") or ()), *spec["containers"]]
    runner: Json = next((one for one in containers if one.get("name") in (RUNNER, WATCH)), {})
    for variable in runner.get("env") or ():
        if variable.get("name") == VARIABLES["redis_url"]:
            return str(variable["valueFrom"]["secretKeyRef"]["name"])
    return ""
