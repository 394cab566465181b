"""Have the API server judge the pods of a JobQueue before the first job does: created, and never kept.

Pod Security, quotas, admission policies and limits are asked the way a job controller asks them: with a pod.
"""

from __future__ import annotations

from typing import Any, Final

from bullpen_operator.entries import Rehearsed
from bullpen_operator.kube import KubeApi, KubeAwayError, KubeRefusedError, batch, core
from bullpen_operator.kube_launcher import launch_error
from bullpen_operator.manifest import Placement, bare_pod, kube_job
from bullpen_operator.model import JobQueueSpec, JobType
from bullpen_operator.ports import ConfigurationFaultError
from bullpen_operator.refusals import refusal_of
from bullpen_operator.seen import Attempt
from bullpen_operator.wording import steady

_NOT_ALLOWED: Final = "cannot create resource"
"""The API server's words to an operator that lacks the permission: they say nothing of the pod."""


async def rehearse(api: KubeApi, spec: JobQueueSpec, placement: Placement) -> Rehearsed | None:
    """Judge each job type, up to the first that is refused; None: the API server could not tell now."""
    for own in spec.job_types:
        job_type = spec.job_type(own.name) or own
        try:
            await _judge(api, spec, job_type, placement)
        except KubeAwayError:
            return None
        except KubeRefusedError as error:
            if error.passing or _NOT_ALLOWED in str(error):
                return None
            return _refused(error, job_type)
        except ConfigurationFaultError as error:
            return Rehearsed(False, error.code, str(error))
    return Rehearsed(True)


def _refused(error: KubeRefusedError, job_type: JobType) -> Rehearsed:
    refusal = refusal_of(str(error))
    if refusal is not None and not refusal.configuration:
        return Rehearsed(False, refusal.code, f"job type {job_type.name!r}: {refusal.words} ({steady(str(error))})")
    fault = launch_error(error, job_type.name)
    return Rehearsed(False, getattr(fault, "code", "refused-spec"), str(fault))


async def _judge(api: KubeApi, spec: JobQueueSpec, job_type: JobType, placement: Placement) -> None:
    attempt = Attempt(
        placement.jobqueue, spec.prefix, spec.queue, "rehearsal", job_type.name, "rehearsal",
        settings=job_type.attempt_settings(spec.lock_duration),
    )  # fmt: skip
    bodies: list[tuple[str, dict[str, Any]]] = [
        (core(placement.namespace, "pods"), bare_pod(attempt, job_type, placement))
    ]
    if job_type.workload == "Job":
        bodies.append((batch(placement.namespace), kube_job(attempt, job_type, placement)))
    for path, body in bodies:
        await api.create(path, body, dry_run=True)
