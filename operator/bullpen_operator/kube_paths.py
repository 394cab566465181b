"""Where the API server keeps what Bullpen asks for, and what a request is called where requests are counted. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

_NAMED: Final = re.compile(
    r"/(?:api/v1|apis/[^/]+/[^/]+)(?:/namespaces/[^/]+(?=/))?/(?P<kind>[a-z]+)(?:/(?P<name>[^/]+)(?:/(?P<part>[a-z]+))?)?"
)


def core(namespace: str, kind: str, name: str = "") -> str:
    """Path of a core/v1 collection or object."""
    return _path(f"/api/v1/namespaces/{quote(namespace, safe='')}/{kind}", name)


def batch(namespace: str, name: str = "") -> str:
    """Path of the KubeJobs of a namespace, or of one."""
    return _path(f"/apis/batch/v1/namespaces/{quote(namespace, safe='')}/jobs", name)


def jobqueues(namespace: str, name: str = "", subresource: str = "") -> str:
    """Path of the JobQueues of a namespace, of one, or of its status."""
    path = _path(f"/apis/bullpen.dev/v1alpha1/namespaces/{quote(namespace, safe='')}/jobqueues", name)
    return f"{path}/{subresource}" if subresource else path


def _path(collection: str, name: str) -> str:
    return f"{collection}/{quote(name, safe='')}" if name else collection


def resource_of(path: str) -> str:
    """Name the resource of a path as a Role does (`pods/log`), never an object: few values, for a metric's label."""
    found = _NAMED.fullmatch(path)
    if found is None:
        return path.strip("/").partition("/")[0]
    return "/".join(filter(None, (found["kind"], found["part"])))


def verb_of(method: str, path: str, query: Mapping[str, str]) -> str:
    """Name the verb of a request: HTTP's method, and LIST or WATCH for a GET of a collection."""
    found = _NAMED.fullmatch(path)
    if method != "GET" or found is None or found["name"]:
        return method
    return "WATCH" if "watch" in query else "LIST"
