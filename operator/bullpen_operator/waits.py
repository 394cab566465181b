"""Why an attempt has not started, and whether waiting longer can help. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bullpen_operator.escaping import safe
from bullpen_operator.seen import KubeJobSeen, PodSeen, Waiting

SECOND_PULL_S: Final = 20.0
"""The kubelet has pulled twice by then (it waits 10 s after the first failure): a definite refusal is believed."""
CONFIG_GRACE_S: Final = 60.0
"""A Secret or ConfigMap may be created a little after the pod."""

_DEFINITE = re.compile(r"not found|manifest unknown|unauthorized|forbidden|denied|\b40[134]\b", re.IGNORECASE)
_PASSING = re.compile(r"pull QPS exceeded|RegistryUnavailable|\b429\b|\b5\d\d\b|timeout|timed out", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wait:
    """Why an attempt has not started. `hopeless`: it never will, as the JobQueue is now."""

    code: str
    sentence: str
    configuration: bool = False
    hopeless: bool = False


def wait_of(pod: PodSeen | None, seen: KubeJobSeen, now: datetime) -> Wait:
    """Say why *pod* has not started; None: the KubeJob has no pod yet."""
    if seen.suspended:
        return Wait("suspended", "its KubeJob is suspended, to be released by whoever suspended it")
    if pod is None:
        return Wait("no-pod", "Kubernetes has not made its pod: the KubeJob's events say why (quota, admission)")
    if pod.unschedulable:
        return _unschedulable(pod.unschedulable)
    if pod.waiting is None:
        return Wait("starting", "its container is being started")
    return _container(pod.waiting, (now - seen.created_at).total_seconds())


def _unschedulable(message: str) -> Wait:
    if "gate" in message.lower():
        return Wait("gated", f"its pod waits for a scheduling gate ({safe(message, 200)})")
    return Wait("unschedulable", f"no node takes its pod ({safe(message, 200)})")


def _container(waiting: Waiting, age_s: float) -> Wait:
    rule = _RULES.get(waiting.reason)
    if rule is not None:
        return rule(waiting, age_s)
    if waiting.reason in ("ContainerCreating", "PodInitializing", ""):
        return Wait("starting", "its container is being started")
    return Wait("waiting", f"its container waits: {_told(waiting)}")


def _bad_image(waiting: Waiting, _: float) -> Wait:
    return Wait("image", f"its image can't be used: {_told(waiting)}", configuration=True, hopeless=True)


def _pull(waiting: Waiting, age_s: float) -> Wait:
    message = waiting.message
    if _DEFINITE.search(message) and not _PASSING.search(message):
        believed = waiting.reason == "ImagePullBackOff" or age_s >= SECOND_PULL_S
        return Wait("image", f"its image can't be pulled: {_told(waiting)}", configuration=True, hopeless=believed)
    return Wait("image-pull", f"its image is not there yet: {_told(waiting)}")


def _config(waiting: Waiting, age_s: float) -> Wait:
    sentence = f"its container can't be made: {_told(waiting)}"
    return Wait("config", sentence, configuration=True, hopeless=age_s >= CONFIG_GRACE_S)


def _command(waiting: Waiting, _: float) -> Wait:
    return Wait("cannot-start", f"its container can't be started: {_told(waiting)}", configuration=True, hopeless=True)


def _told(waiting: Waiting) -> str:
    return safe(f"{waiting.reason} {waiting.message}".strip(), 240)


_RULES: Final[Mapping[str, Callable[[Waiting, float], Wait]]] = {
    "InvalidImageName": _bad_image,
    "ErrImageNeverPull": _bad_image,
    "SignatureValidationFailed": _bad_image,
    "ErrImagePull": _pull,
    "ImagePullBackOff": _pull,
    "ImageInspectError": _pull,
    "RegistryUnavailable": _pull,
    "CreateContainerConfigError": _config,
    "CreateContainerError": _config,
    "RunContainerError": _command,
}
