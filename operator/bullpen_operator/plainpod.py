"""The pod of a plain job: the user's image, and the two containers that speak to Redis for it. Pure.

The payload and what comes of it pass through files of an emptyDir. Only the injected containers know of Redis; whoever
wrote the image needs no client library, and whatever runs in it can neither read a credential nor finish a job.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bullpen_operator.model import JobType
from bullpen_operator.seen import Attempt
from bullpen_operator.sizes import resources_of
from bullpen_protocol import plain

START_ALLOWANCE_S: Final = 15
"""Kubernetes counts the time of a pod from when its node took it; so much of it is for the injected containers."""
VOLUME: Final = {"name": "bullpen", "emptyDir": {}}
MOUNT: Final = {"name": "bullpen", "mountPath": plain.FOLDER}

_COMMAND: Final = ("python", "-m", "bullpen_runner.plain")
_RESTRICTED: Final = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
_REQUESTS: Final = {"cpu": "10m", "memory": "40Mi"}
_FETCH_MEMORY: Final = "256Mi"
"""A payload of 32 MiB is in memory several times while it is taken out of Redis' answer."""
_WATCH_MEMORY: Final = "96Mi"
"""It takes 38 MiB; a result of a megabyte of nothing but brackets, 65."""

Json = dict[str, Any]


def parts(attempt: Attempt, job_type: JobType, runner: Json, ours: Sequence[Json]) -> Json:
    """Render what a plain pod has in the place of a runner.

    *runner* holds image and pull policy of the injected containers, *ours* their environment.
    """
    return {
        "activeDeadlineSeconds": math.ceil(attempt.settings.timeout_s) + START_ALLOWANCE_S,
        "initContainers": [
            _injected(plain.FETCH, "fetch", _FETCH_MEMORY, runner, ours),
            _injected(plain.WATCH, "watch", _WATCH_MEMORY, runner, ours) | {"restartPolicy": "Always"},
        ],
        "containers": [_main(attempt, job_type)],
        "volumes": [VOLUME],
    }


def _injected(name: str, does: str, memory: str, runner: Json, ours: Sequence[Json]) -> Json:
    return {
        "name": name,
        **runner,
        "command": [*_COMMAND, does],
        "env": list(ours),
        "resources": {"requests": _REQUESTS, "limits": {"memory": memory}},
        "securityContext": {**_RESTRICTED, "readOnlyRootFilesystem": True},
        "volumeMounts": [MOUNT],
    }


def _main(attempt: Attempt, job_type: JobType) -> Json:
    own = [{"name": name, "value": literal(value)} for name, value in environment(attempt).items()]
    variables = [variable.model_dump(by_alias=True, exclude_none=True) for variable in job_type.env]
    return {
        "name": plain.MAIN,
        "image": job_type.image,
        "env": [*own, *variables],
        "resources": resources_of(job_type.resources, attempt.settings),
        # Its root stays writable: images of any language expect that. podTemplate can close it.
        "securityContext": _RESTRICTED,
        # What it wrote last says why it failed, if it did not write /dev/termination-log itself.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [MOUNT],
    }


def environment(attempt: Attempt) -> Mapping[str, str]:
    """Name the variables of ours that the user's container gets: these, and no others."""
    return {
        "BULLPEN_PAYLOAD": f"{plain.FOLDER}/{plain.PAYLOAD}",
        "BULLPEN_PROGRESS": f"{plain.FOLDER}/{plain.PROGRESS}",
        "BULLPEN_RESULT": f"{plain.FOLDER}/{plain.RESULT}",
        "BULLPEN_QUEUE": attempt.queue,
        "BULLPEN_JOB_ID": attempt.job_id,
        "BULLPEN_JOB_NAME": attempt.job_name,
        "BULLPEN_ATTEMPT": str(attempt.number),
    }


def literal(value: str) -> str:
    """Escape a variable's value: Kubernetes expands $(NAME) in it; a doubled $ is a plain one."""
    return value.replace("$", "$$")
