"""What whoever runs the operator allows JobQueues to ask for. Pure.

A JobQueue makes pods; who may create one must not get further by it than who may create a pod under Pod Security.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

ANY: Final = "*"


@dataclass(frozen=True, slots=True)
class Allowed:
    """Names, or beginnings of names that end in `*`; `*` alone is any."""

    images: tuple[str, ...] = (ANY,)
    service_accounts: tuple[str, ...] = ()
    """Beside `default`, which gets no token."""
    volumes: tuple[str, ...] = (
        "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected",
        "secret",
    )  # fmt: skip
    """Kinds; the default is what Pod Security calls restricted. `hostPath` is refused whatever is allowed."""
    node_selectors: tuple[str, ...] = (ANY,)
    """Labels of nodes that nodeSelector and nodeAffinity may name."""


def complaints(spec: Mapping[str, Any], allowed: Allowed, own_image: str) -> Iterator[str]:
    """Say what of a pod is not allowed; *own_image* is the operator's own choice, and always is."""
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        image = str(container.get("image"))
        if image != own_image and not matches(image, allowed.images):
            yield f"uses the image {image!r}, which the operator does not allow; allowed: {_list(allowed.images)}"
    account = account_of(spec)
    if account != "default" and not matches(account, allowed.service_accounts):
        yield f"names the ServiceAccount {account!r}, which the operator does not allow; runners need none: remove it"
    for volume in spec.get("volumes") or ():
        kind = next((name for name in volume if name != "name"), "emptyDir")
        if not matches(kind, allowed.volumes):
            yield f"mounts a {kind} (volume {volume.get('name')!r}); allowed are {_list(allowed.volumes)}"
    for label in _node_labels(spec):
        if not matches(label, allowed.node_selectors):
            yield f"selects nodes by {label!r}; allowed are {_list(allowed.node_selectors)}"


def account_of(spec: Mapping[str, Any]) -> str:
    """Name of a pod's ServiceAccount."""
    return str(spec.get("serviceAccountName") or spec.get("serviceAccount") or "default")


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether *name* is one of *patterns*, or begins as one that ends in `*`."""
    return any(name == one or (one.endswith(ANY) and name.startswith(one[:-1])) for one in patterns)


def _list(patterns: tuple[str, ...]) -> str:
    return ", ".join(patterns) or "none"


def _node_labels(spec: Mapping[str, Any]) -> Iterator[str]:
    yield from spec.get("nodeSelector") or ()
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    for term in (*(required.get("nodeSelectorTerms") or ()), *(one.get("preference") or {} for one in preferred)):
        for field in ("matchExpressions", "matchFields"):
            yield from (str(one.get("key")) for one in term.get(field) or ())
