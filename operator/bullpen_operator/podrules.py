"""What a podTemplate may not do to an attempt's pod. Pure.

Whoever may create a JobQueue must not come to own the node or the namespace by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bullpen_operator.allowed import Allowed, account_of, complaints, matches
from bullpen_operator.plainpod import MOUNT, VOLUME
from bullpen_operator.ports import ConfigurationFaultError
from bullpen_protocol import plain

RUNNER: Final = "runner"
"""Name of the main container of a managed job (of a plain one: `main`): a podTemplate patches it by this name."""

_OURS: Final = "BULLPEN_"
_HOST_NAMESPACES: Final = ("hostNetwork", "hostPID", "hostIPC")


@dataclass(frozen=True, slots=True)
class Rules:
    """What a pod is measured by."""

    allowed: Allowed
    own_image: str
    """Of the operator's own choice."""


def check(template: Mapping[str, Any], base: Mapping[str, Any], job_type: str, rules: Rules) -> None:
    """Refuse a merged pod template that reaches for the host or for what is not allowed, or breaks the protocol.

    Raises:
        ConfigurationFaultError: one sentence with the field and what to do.
    """
    try:
        complaint = next(_complaints(template.get("spec") or {}, base["spec"], rules), None)
        complaint = None if complaint is None else f"podTemplate {complaint}"
        complaint = complaint or next(_not_allowed(template.get("spec") or {}, rules), None)
    except (AttributeError, TypeError, KeyError):
        complaint = "podTemplate is not shaped like a pod template; compare it with `kubectl explain pod.spec`"
    if complaint is not None:
        raise ConfigurationFaultError(f"job type {job_type!r}: {complaint}")


def _complaints(spec: Mapping[str, Any], base: Mapping[str, Any], rules: Rules) -> Iterator[str]:
    yield from _host(spec)
    yield from _token(spec, rules.allowed)
    yield from _protocol(spec, base)
    yield from _reserved(spec, base)
    if base["containers"][0]["name"] == plain.MAIN:
        yield from _plain(spec, base)
    for container in _containers(spec):
        yield from _container(container)


def _not_allowed(spec: Mapping[str, Any], rules: Rules) -> Iterator[str]:
    return (f"its pod {one}" for one in complaints(spec, rules.allowed, rules.own_image))


def _host(spec: Mapping[str, Any]) -> Iterator[str]:
    for name in _HOST_NAMESPACES:
        if spec.get(name):
            yield f"sets {name}; pods of jobs never share the host's namespaces: remove it"
    for volume in spec.get("volumes") or ():
        if "hostPath" in volume:
            yield f"mounts a hostPath (volume {volume.get('name')!r}); use emptyDir or a PersistentVolumeClaim"
    if spec.get("nodeName"):
        yield "sets nodeName, which goes past the scheduler; use nodeSelector"
    if _host_process(spec):
        yield "sets windowsOptions.hostProcess; pods of jobs never run as the host: remove it"


def _token(spec: Mapping[str, Any], allowed: Allowed) -> Iterator[str]:
    if matches(account_of(spec), allowed.service_accounts):
        return  # who allows an account means what it may do
    if spec.get("automountServiceAccountToken") is not False:
        yield "mounts a ServiceAccount token; runners need no Kubernetes API: remove automountServiceAccountToken"
    for volume in spec.get("volumes") or ():
        sources = (volume.get("projected") or {}).get("sources") or ()
        if any("serviceAccountToken" in source for source in sources):
            yield f"projects a ServiceAccount token (volume {volume.get('name')!r}); remove it"


def _protocol(spec: Mapping[str, Any], base: Mapping[str, Any]) -> Iterator[str]:
    if spec.get("restartPolicy") != "Never":
        yield "changes restartPolicy; BullMQ alone retries: remove it"
    name = base["containers"][0]["name"]
    main = next((c for c in spec.get("containers") or () if c.get("name") == name), None)
    if main is None:
        yield f"removes the container {name!r}, which runs the job: patch it by that name instead"
        return
    if _own_variables(main) != _own_variables(base["containers"][0]):
        yield f"sets a variable whose name starts with {_OURS}; these are the operator's own: choose another name"


def _reserved(spec: Mapping[str, Any], base: Mapping[str, Any]) -> Iterator[str]:
    """The injected containers hold Redis' credentials and an attempt's fence: they stay as they are, and alone."""
    ours = {container["name"]: container for container in base.get("initContainers") or ()}
    names = [container.get("name") for container in _containers(spec)]
    for container in _containers(spec):
        name = str(container.get("name"))
        if name.startswith(plain.RESERVED_PREFIX) and container != ours.get(name):
            yield f"adds or changes the container {name!r}; such names are the operator's own: choose another"
    if gone := next((name for name in ours if name not in names), None):
        yield f"removes the container {gone!r}, which is the operator's own"


def _plain(spec: Mapping[str, Any], base: Mapping[str, Any]) -> Iterator[str]:
    if spec.get("shareProcessNamespace"):
        yield "sets shareProcessNamespace; the job could read the credentials of its neighbours: remove it"
    if spec.get("activeDeadlineSeconds") != base["activeDeadlineSeconds"]:
        yield "changes activeDeadlineSeconds; set the job type's timeout instead"
    main = next(c for c in spec["containers"] if c.get("name") == plain.MAIN)
    if VOLUME not in spec["volumes"] or MOUNT not in main["volumeMounts"]:
        yield f"changes the volume {VOLUME['name']!r}, in which payload and result are: remove that"


def _container(container: Mapping[str, Any]) -> Iterator[str]:
    context = container.get("securityContext") or {}
    name = container.get("name")
    added = (context.get("capabilities") or {}).get("add")
    if added:
        yield f"adds capabilities to the container {name!r}; pods of jobs have none: remove capabilities.add"
    if context.get("privileged"):
        yield f"makes the container {name!r} privileged; pods of jobs never are: remove it"
    if _host_process(container):
        yield f"makes the container {name!r} a hostProcess; pods of jobs never are: remove it"


def _host_process(holder: Mapping[str, Any]) -> bool:
    context = holder.get("securityContext") or {}
    return bool((context.get("windowsOptions") or {}).get("hostProcess"))


def _containers(spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(kind) or ()


def _own_variables(container: Mapping[str, Any]) -> list[Any]:
    return [variable for variable in container.get("env") or () if str(variable.get("name")).startswith(_OURS)]
