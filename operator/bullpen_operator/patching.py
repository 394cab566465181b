"""Strategic merge patch of a pod template, as `kubectl patch` and the API server do it. Pure.

https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/
Lists that Kubernetes merges by a key are merged by it; every other list replaces the one it meets.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final

MERGE_KEYS: Final[Mapping[str, str]] = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "imagePullSecrets": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "topologySpreadConstraints": "topologyKey",
    "hostAliases": "ip",
    "resourceClaims": "name",
}
"""patchMergeKey of the fields of PodSpec and Container (k8s.io/api/core/v1)."""

_DIRECTIVE: Final = "$patch"


class PatchError(ValueError):
    """The patch can't be applied; one sentence says where."""


def merge(original: Mapping[str, Any], patch: Mapping[str, Any], path: str = "podTemplate") -> dict[str, Any]:
    """Return *original* with *patch* applied; neither is changed.

    Raises:
        PatchError: a list element without its key, or a directive that Kubernetes does not know.
    """
    if _directive(patch, path) == "replace":
        return {key: deepcopy(value) for key, value in patch.items() if key != _DIRECTIVE}
    merged = deepcopy(dict(original))
    for key, value in patch.items():
        if key == _DIRECTIVE:
            continue
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged_value(key, merged.get(key), value, f"{path}.{key}")
    return merged


def _merged_value(key: str, old: Any, new: Any, path: str) -> Any:
    if isinstance(new, Mapping):
        return merge(old if isinstance(old, Mapping) else {}, new, path)
    if isinstance(old, Mapping):
        raise PatchError(f"{path}: expected an object")
    if key in MERGE_KEYS:
        if not isinstance(new, list):
            raise PatchError(f"{path}: expected a list")
        return _merged_list(old if isinstance(old, list) else [], new, MERGE_KEYS[key], path)
    return deepcopy(new)


def _merged_list(old: list[Any], new: list[Any], merge_key: str, path: str) -> list[Any]:
    if any(isinstance(element, Mapping) and dict(element) == {_DIRECTIVE: "replace"} for element in new):
        old, new = [], [element for element in new if dict(element) != {_DIRECTIVE: "replace"}]
    merged = {element.get(merge_key): element for element in old}
    for element in new:
        if not isinstance(element, Mapping) or merge_key not in element:
            raise PatchError(f"{path}: every element needs a {merge_key!r}, by which it is merged")
        identity = element[merge_key]
        where = f"{path}[{identity}]"
        if _directive(element, where) == "delete":
            merged.pop(identity, None)
        else:
            merged[identity] = merge(merged.get(identity, {}), element, where)
    return list(merged.values())


def _directive(patch: Mapping[str, Any], path: str) -> str | None:
    directive = patch.get(_DIRECTIVE)
    if directive not in (None, "merge", "replace", "delete"):
        raise PatchError(f"{path}: $patch is {directive!r}; Kubernetes knows merge, replace and delete")
    return directive
