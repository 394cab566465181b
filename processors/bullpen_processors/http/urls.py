"""Parts of URLs, however badly they are written, and whose site they are. Pure."""

from __future__ import annotations

import re
from typing import Final

from bullpen_processors.ontoweb.javascript import trim

_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]{0,30}):", re.IGNORECASE | re.ASCII)
_AUTHORITY: Final = re.compile(r"(?:[a-z][a-z0-9+.-]{0,30}:)?[/\\]{2,}([^/\\?#]{0,1024})", re.IGNORECASE | re.ASCII)
_ADDRESS: Final = re.compile(r"\[.*|[0-9.]+", re.ASCII)


def scheme_of(url: str) -> str:
    """Return the scheme in lower case; empty without one. Blanks before it are nothing, as in browsers."""
    found = _SCHEME.match(trim(url[:2048]))
    return found[1].lower() if found else ""


def host_of(url: str) -> str:
    """Return the host in lower case, without port and user; empty where the URL names none.

    Backslashes count as slashes, and more than two of them as two: so do browsers.
    """
    found = _AUTHORITY.match(trim(url[:4096]))
    return host_of_authority(found[1]) if found else ""


def host_of_authority(authority: str) -> str:
    """Return the host of `user@host:port` in lower case."""
    host = trim(authority).rpartition("@")[2].lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]" if "]" in host else ""
    return host.partition(":")[0].rstrip(".")


def query_of(url: str) -> str:
    """Return what stands between `?` and `#`; empty without."""
    return url.partition("#")[0].partition("?")[2]


def path_of(url: str) -> str:
    """Return the path; empty without."""
    head = trim(url).partition("#")[0].partition("?")[0]
    found = _AUTHORITY.match(head)
    return head[found.end() :] if found else head


def is_loopback(host: str) -> bool:
    """Tell whether a host is the machine itself: browsers take it for as safe as https."""
    return host in ("localhost", "[::1]") or host.endswith(".localhost") or _is_127(host)


def same_site(one: str, other: str) -> bool:
    """Tell whether two hosts belong to one site: they share the name that can be registered."""
    return bool(one) and (one == other or (_site(one) == _site(other) and not _ADDRESS.fullmatch(one)))


def _is_127(host: str) -> bool:
    return host.startswith("127.") and _ADDRESS.fullmatch(host) is not None


def _site(host: str) -> str:
    """Return the last two labels, or three below names such as co.uk: the list of public suffixes is not at hand."""
    labels = host.split(".")
    short = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3
    return ".".join(labels[-3 if short else -2 :])
