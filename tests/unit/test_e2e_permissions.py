"""How the cluster suite reads the API server's audit log."""

from __future__ import annotations

from typing import Any

from e2e.permissions import Use, forbidden, granted, used

BINDING: dict[str, Any] = {"metadata": {"name": "b", "namespace": "n"}, "subjects": [{"name": "bp"}]}
RULE = {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get"]}


def event(verb: str, decision: str = "allow", code: int = 200, **about: str) -> dict[str, Any]:
    return {
        "user": {"username": "system:serviceaccount:jobs:bp"},
        "verb": verb,
        "requestURI": "/api/v1/x",
        "objectRef": {"resource": "pods", **about},
        "responseStatus": {"code": code},
        "annotations": {"authorization.k8s.io/decision": decision},
    }


def test_a_rule_is_spread_out_for_whoever_it_is_bound_to() -> None:
    objects: list[dict[str, Any]] = [
        {"kind": "Role", "metadata": {"name": "r", "namespace": "n"}, "rules": [RULE]},
        {"kind": "Role", "metadata": {"name": "r", "namespace": "other"}, "rules": []},
        {"kind": "ClusterRole", "metadata": {"name": "unbound"}, "rules": [RULE]},
        {"kind": "RoleBinding", "roleRef": {"kind": "Role", "name": "r"}, **BINDING},
        {"kind": "Service", "metadata": {"name": "s"}},
    ]
    assert granted(objects) == {Use("bp", "", "pods", "get"), Use("bp", "", "pods/log", "get")}


def test_a_cluster_role_counts_as_well() -> None:
    objects: list[dict[str, Any]] = [
        {"kind": "ClusterRole", "metadata": {"name": "c"}, "rules": [RULE]},
        {"kind": "ClusterRoleBinding", "roleRef": {"kind": "ClusterRole", "name": "c"}, **BINDING},
    ]
    assert Use("bp", "", "pods", "get") in granted(objects)


def test_what_was_allowed_was_used_even_if_it_was_not_there() -> None:
    events = [event("get", code=404, subresource="log"), event("list", apiGroup="batch"), event("watch", "forbid", 403)]
    assert used(events) == {Use("bp", "", "pods/log", "get"), Use("bp", "batch", "pods", "list")}


def test_only_authorization_forbids() -> None:
    quota, denied = event("create", code=403), event("watch", "forbid", 403)
    assert list(forbidden([quota, denied])) == ["system:serviceaccount:jobs:bp: watch /api/v1/x"]
