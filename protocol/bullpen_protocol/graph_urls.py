"""Where a graph store takes queries and updates, by the URLs that people configure. Pure."""

from __future__ import annotations

import re
from typing import Final

_REPOSITORY: Final = re.compile(r"/repositories/[^/]+/?$")
_STATEMENTS: Final = re.compile(r"(/repositories/[^/]+)/statements$")


def update_url(url: str) -> str | None:
    """Return where updates go if *url* alone says it, as that of a repository of RDF4J or GraphDB does; else None."""
    path, separator, query = url.partition("?")
    if _STATEMENTS.search(path):
        return url
    return path.rstrip("/") + "/statements" + separator + query if _REPOSITORY.search(path) else None


def query_url(url: str) -> str:
    """Return where queries go: *url* itself, but for the updates' path of a repository."""
    path, separator, query = url.partition("?")
    return _STATEMENTS.sub(r"\1", path) + separator + query
