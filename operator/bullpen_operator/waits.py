"""Why an attempt has not started, and whether waiting longer can help. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bullpen_operator.refusals import refusal_of
from bullpen_operator.seen import KubeJobSeen, PodSeen, Told, Waiting
from bullpen_operator.wording import steady, unpulled, unscheduled

SECOND_PULL_S: Final = 20.0
"""The kubelet has pulled twice by then (it waits 10 s after the first failure): a definite refusal is believed."""
CONFIG_GRACE_S: Final = 60.0
"""A Secret or ConfigMap may be created a little after the pod."""

NO_POD: Final = "no-pod"
STARTING: Final = "starting"
DULL: Final = frozenset({"", STARTING, NO_POD})
"""Codes that say no more than that it has not started yet."""

_DULL: Final = frozenset({"", "ContainerCreating", "PodInitializing"})
"""Reasons of a container that waits for something else."""

_DEFINITE = re.compile(r"not found|manifest unknown|unauthorized|forbidden|denied|\b40[134]\b", re.IGNORECASE)
_PASSING = re.compile(r"pull QPS exceeded|RegistryUnavailable|\b429\b|\b5\d\d\b|timeout|timed out", re.IGNORECASE)
_MISSING = re.compile(r"\b(?:secret|configmap|persistentvolumeclaim)s? \"[^\"]*\" not found", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wait:
    """Why an attempt has not started. `hopeless`: it never will, as the JobQueue is now."""

    code: str
    sentence: str
    configuration: bool = False
    hopeless: bool = False
    instead_of: str = ""
    """Of a reason that only events tell: the dull code that it explains."""


def wait_of(pod: PodSeen | None, seen: KubeJobSeen, now: datetime) -> Wait:
    """Say why *pod* has not started; None: the KubeJob has no pod yet."""
    age_s = (now - seen.created_at).total_seconds()
    if seen.suspended:
        return Wait("suspended", "its KubeJob is suspended, to be released by whoever suspended it")
    if pod is None:
        return _podless(seen.warnings, age_s)
    if pod.unschedulable:
        return _unschedulable(pod.unschedulable)
    if pod.waiting is None or pod.waiting.reason in _DULL:
        return _starting(seen.warnings, age_s)
    return _container(pod.waiting, age_s)


def unexplained(seen: KubeJobSeen) -> bool:
    """Whether an attempt waits and nothing but events can say why."""
    live = [pod for pod in seen.pods if not pod.ended]
    if seen.suspended or seen.deleting or (seen.pods and not live) or seen.conditions:
        return False
    pod = live[-1] if live else None
    return pod is None or not (pod.started or pod.unschedulable or (pod.waiting and pod.waiting.reason not in _DULL))


def _podless(warnings: tuple[Told, ...], age_s: float) -> Wait:
    told = next((one for one in warnings if one.reason == "FailedCreate"), None)
    if told is None:
        return Wait(NO_POD, "Kubernetes has not made its pod yet")
    refusal = refusal_of(told.message)
    if refusal is None:
        return Wait("not-created", f"its pod can't be made ({steady(told.message)})", instead_of=NO_POD)
    sentence = f"{refusal.words} ({steady(told.message)})"
    hopeless = refusal.configuration and age_s >= refusal.grace_s
    return Wait(refusal.code, sentence, refusal.configuration, hopeless, NO_POD)


def _unschedulable(message: str) -> Wait:
    if "gate" in message.lower():
        return Wait("gated", f"its pod waits for a scheduling gate ({steady(message)})")
    kind, reasons = unscheduled(message)
    code = f"unschedulable-{kind}" if kind else "unschedulable"
    return Wait(code, f"no node takes its pod ({reasons})", configuration=bool(_MISSING.search(message[:4096])))


def _starting(warnings: tuple[Told, ...], age_s: float) -> Wait:
    told = next((one for one in warnings if one.reason in _TROUBLES), None)
    if told is None:
        return Wait(STARTING, "its container is being started")
    code, words = _TROUBLES[told.reason]
    missing = bool(_MISSING.search(told.message))
    return Wait(code, f"{words} ({steady(told.message)})", missing, missing and age_s >= CONFIG_GRACE_S, STARTING)


_TROUBLES: Final[Mapping[str, tuple[str, str]]] = {
    "FailedMount": ("volume", "a volume can't be mounted"),
    "FailedAttachVolume": ("volume", "a volume can't be attached"),
    "FailedMapVolume": ("volume", "a volume can't be mapped"),
    "FailedCreatePodSandBox": ("sandbox", "the node can't make its sandbox"),
    "NetworkNotReady": ("sandbox", "the node's network is not ready"),
}
"""Reason of an event -> code and words, of pods that say no more than that their container is being created."""


def _container(waiting: Waiting, age_s: float) -> Wait:
    rule = _RULES.get(waiting.reason)
    if rule is not None:
        return rule(waiting, age_s)
    return Wait("waiting", f"its container waits: {_told(waiting)}")


def _bad_image(waiting: Waiting, _: float) -> Wait:
    return Wait("image", f"its image can't be used: {_told(waiting)}", configuration=True, hopeless=True)


def _pull(waiting: Waiting, age_s: float) -> Wait:
    message = waiting.message
    if _DEFINITE.search(message) and not _PASSING.search(message):
        believed = waiting.reason == "ImagePullBackOff" or age_s >= SECOND_PULL_S
        return Wait("image", f"its image can't be pulled: {unpulled(message)}", configuration=True, hopeless=believed)
    return Wait("image-pull", f"its image is not there yet: {unpulled(message)}")


def _config(waiting: Waiting, age_s: float) -> Wait:
    sentence = f"its container can't be made: {_told(waiting)}"
    return Wait("config", sentence, configuration=True, hopeless=age_s >= CONFIG_GRACE_S)


def _command(waiting: Waiting, _: float) -> Wait:
    return Wait("cannot-start", f"its container can't be started: {_told(waiting)}", configuration=True, hopeless=True)


def _told(waiting: Waiting) -> str:
    return steady(f"{waiting.reason} {waiting.message}".strip())


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
