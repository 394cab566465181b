"""Whose a domain is, by the Public Suffix List that the package publicsuffixlist carries: nothing is fetched."""

from __future__ import annotations

from functools import cache
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

_LONGEST: Final = 253


def host_of(place: str) -> str:
    """Return the host of a URL or of a bare domain, without the dot that cookies begin with; "" where there is none."""
    text = place.strip()
    try:
        host = urlsplit(text if "://" in text else f"//{text}").hostname
    except ValueError:
        return ""
    return (host or "").strip(".").lower()


def same_site(one: str, other: str) -> bool:
    """Tell whether two hosts have one registrable domain; addresses and bare suffixes are only themselves."""
    if one == other:
        return True
    if _is_address(one) or _is_address(other):
        return False
    ours, theirs = _registrable(one), _registrable(other)
    return ours is not None and ours == theirs


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _registrable(host: str) -> str | None:
    if len(host) > _LONGEST:
        return None  # no name of DNS is as long
    found: str | None = _suffixes().privatesuffix(_ascii(host))
    return found


def _ascii(host: str) -> str:
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return host


@cache
def _suffixes() -> Any:
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415 - 35 ms, and only cookies need it

    return PublicSuffixList()
