"""What a release was allowed and what it asked for: its Roles beside the API server's audit log. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

Json = dict[str, Any]


class Use(NamedTuple):
    """Something that one ServiceAccount may do, or did."""

    account: str
    group: str
    resource: str
    """With its subresource: `pods/log`."""
    verb: str


def granted(objects: Iterable[Json]) -> set[Use]:
    """Spread out the rules that a release's RoleBindings and ClusterRoleBindings give to its ServiceAccounts."""
    known = list(objects)
    rules = {
        (one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]): one["rules"]
        for one in known
        if one["kind"] in ("Role", "ClusterRole")
    }
    return {
        Use(subject["name"], group, resource, verb)
        for binding in known
        if binding["kind"] in ("RoleBinding", "ClusterRoleBinding")
        for subject in binding["subjects"]
        for rule in rules[_role_of(binding)]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def _role_of(binding: Json) -> tuple[str, str | None, str]:
    role = binding["roleRef"]
    namespace = binding["metadata"].get("namespace") if role["kind"] == "Role" else None
    return role["kind"], namespace, role["name"]


def used(events: Iterable[Json]) -> set[Use]:
    """Collect what was asked for and allowed; whether there was such an object is another matter."""
    return {_use(event) for event in events if not _forbidden(event)}


def forbidden(events: Iterable[Json]) -> Iterator[str]:
    """Name what the API server's authorization refused. A 403 of a quota or of Pod Security is an answer, not this."""
    for event in filter(_forbidden, events):
        yield f"{event['user']['username']}: {event['verb']} {event['requestURI']}"


def _forbidden(event: Json) -> bool:
    return bool(event.get("annotations", {}).get("authorization.k8s.io/decision") == "forbid")


def _use(event: Json) -> Use:
    account = event["user"]["username"].rpartition(":")[2]
    about = event.get("objectRef", {})
    resource = "/".join(filter(None, (about.get("resource"), about.get("subresource"))))
    return Use(account, about.get("apiGroup", ""), resource, event["verb"])
