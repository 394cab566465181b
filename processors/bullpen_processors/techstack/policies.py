"""Values of security headers, taken apart. Pure, and linear in their length.

Source: W3C CSP Level 3; RFC 6797 (HSTS), 6.1; W3C Permissions Policy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_AGE: Final = re.compile(r'max-age\s{0,9}=\s{0,9}"?(\d{1,18})"?(?![^;\s"])', re.IGNORECASE)
_SCHEMES: Final = frozenset({"*", "http:", "https:", "data:", "blob:", "filesystem:", "ws:", "wss:"})
_ALLOWED: Final = re.compile(r"([a-z-]{1,60})\s{0,9}=\s{0,9}(\*|\(\s{0,9}\*\s{0,9}\))", re.IGNORECASE)


def policies(value: str) -> list[Mapping[str, list[str]]]:
    """Return each policy of a Content-Security-Policy: directive -> sources, in lower case; of two the first counts."""
    found: list[Mapping[str, list[str]]] = []
    for text in value.split(","):
        policy: dict[str, list[str]] = {}
        for directive in text.split(";"):
            name, *sources = directive.lower().split() or [""]
            if name:
                policy.setdefault(name, sources)
        if policy:
            found.append(policy)
    return found


def script_sources(policy: Mapping[str, list[str]]) -> list[str] | None:
    """Return what scripts may come from; None: nothing says so."""
    return policy.get("script-src", policy.get("default-src"))


def allows_inline(sources: list[str]) -> bool:
    """Tell whether inline scripts run: nonces, hashes and strict-dynamic switch 'unsafe-inline' off."""
    strict = any(one.startswith(("'nonce-", "'sha256-", "'sha384-", "'sha512-")) for one in sources)
    return "'unsafe-inline'" in sources and not strict and "'strict-dynamic'" not in sources


def allows_anything(sources: list[str]) -> bool:
    """Tell whether scripts may come from anywhere: `*`, a bare scheme, `https://*`."""
    if "'strict-dynamic'" in sources:
        return False
    return any(one in _SCHEMES or re.fullmatch(r"(?:https?://)?\*(?::\*)?/?", one) for one in sources)


def max_age(value: str) -> int | None:
    """Return the max-age of Strict-Transport-Security in seconds; None where it has none."""
    found = _AGE.search(value)
    return int(found[1]) if found else None


def for_everybody(value: str) -> list[str]:
    """Return the features that a Permissions-Policy gives to every site."""
    return [name.lower() for name, _ in _ALLOWED.findall(value)]
