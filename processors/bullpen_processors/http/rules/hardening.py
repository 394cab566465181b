"""Headers by which a page protects itself, and that it lacks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from bullpen_processors.http.evidence import Evidence
from bullpen_processors.http.rule import CONFIGURATION, Rule, example
from bullpen_processors.http.urls import is_loopback
from bullpen_processors.http.view import View

_POLICY: Final = "content-security-policy"
_FRAMES: Final = "x-frame-options"
_TYPES: Final = "x-content-type-options"
_TRANSPORT: Final = "strict-transport-security"
_NO_AGE: Final = re.compile(r'max-age\s{0,9}=\s{0,9}"?0+"?(?!\d)', re.IGNORECASE)


def _missing_headers(view: View) -> Evidence | None:
    """Judge pages only, and those that are shown: what has no markup has nothing that these headers protect."""
    if not view.is_html or (view.status is not None and (300 <= view.status < 400 or view.status == 204)):
        return None
    missing = list(_missing(view))
    if not missing:
        return None
    return Evidence("header", {"missing": missing}, headers=[], note=f"Missing: {', '.join(missing)}.")


def _missing(view: View) -> Iterator[str]:
    policy = view.response_header(_POLICY).lower()
    if not policy and not _has_policy_in_page(view):
        yield _POLICY
    if "frame-ancestors" not in policy and view.response_header(_FRAMES).lower() not in ("deny", "sameorigin"):
        yield _FRAMES
    if view.response_header(_TYPES).lower() != "nosniff":
        yield _TYPES
    transport = view.response_header(_TRANSPORT)
    if view.scheme == "https" and not is_loopback(view.host) and (not transport or _NO_AGE.search(transport)):
        yield _TRANSPORT


def _has_policy_in_page(view: View) -> bool:
    return any(tag.name == "meta" and tag.attributes.get("http-equiv", "").lower() == _POLICY for tag in view.tags)


_SAFE: Final = (
    ("content-type", "text/html; charset=utf-8"),
    (_POLICY, "default-src 'self'; frame-ancestors 'none'"),
    (_TYPES, "nosniff"),
    (_TRANSPORT, "max-age=31536000"),
)

RULES: Final = (
    Rule(
        id="missing-security-headers",
        severity="low",
        category="Transport Security",
        owasp=CONFIGURATION,
        description="The page comes without headers that protect it.",
        judge=_missing_headers,
        bad=(
            example(headers=[("content-type", "text/html")]),
            *(example(headers=[pair for pair in _SAFE if pair[0] != name]) for name, _ in _SAFE[1:]),
            example(headers=[*_SAFE[:3], (_TRANSPORT, "max-age=0")]),
        ),
        good=(
            example(headers=_SAFE),
            example("http://shop.example/", headers=_SAFE[:3]),
            example(headers=[("content-type", "application/json")]),
            example(headers=[("content-type", "text/html")], status=302),
            example(
                headers=[_SAFE[0], _SAFE[2], _SAFE[3], (_FRAMES, "DENY")],
                body=f'<meta http-equiv="{_POLICY}" content="default-src">',
            ),
        ),
    ),
)
