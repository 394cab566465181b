"""Cookies that a session hangs on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from bullpen_processors.http.cookies import SetCookie
from bullpen_processors.http.evidence import Evidence, Hit
from bullpen_processors.http.rule import AUTHENTICATION, Rule, example
from bullpen_processors.http.view import View

_FOR_SCRIPTS: Final = re.compile(r"(?:xsrf|csrf|anti-?forgery|requestverification)", re.IGNORECASE)
"""Names of double-submit cookies: scripts have to read them."""


def _insecure_cookie(view: View) -> Evidence | None:
    return _cookies(view, _missing_flags)


def _missing_samesite(view: View) -> Evidence | None:
    return _cookies(view, _lacks_same_site)


def _prefix_violation(view: View) -> Evidence | None:
    return _cookies(view, _breaks_prefix)


def _cookies(view: View, judge: Callable[[SetCookie], dict[str, list[str]] | None]) -> Evidence | None:
    hits = list(_hits(view, judge))
    return Evidence("cookie", cookies=hits) if hits else None


def _hits(view: View, judge: Callable[[SetCookie], dict[str, list[str]] | None]) -> Iterator[Hit]:
    for hit, cookie in view.cookies:
        shown = judge(cookie)
        if shown is not None:
            yield Hit({**hit.shown, **shown}, hit.node)


def _missing_flags(cookie: SetCookie) -> dict[str, list[str]] | None:
    missing = [] if cookie.secure else ["Secure"]
    if not cookie.http_only and not _FOR_SCRIPTS.search(cookie.name):
        missing.append("HttpOnly")
    return {"missingFlags": missing} if missing else None


def _lacks_same_site(cookie: SetCookie) -> dict[str, list[str]] | None:
    """Find what browsers take for no SameSite: none, an unknown one, and None without Secure, which they refuse."""
    value = (cookie.same_site or "").lower()
    return None if value in ("lax", "strict") or (value == "none" and cookie.secure) else {}


def _breaks_prefix(cookie: SetCookie) -> dict[str, list[str]] | None:
    """Say what a cookie with a prefix lacks, for which browsers refuse it (RFC 6265bis, 4.1.3)."""
    name = cookie.name.lower()
    if not name.startswith(("__host-", "__secure-")):
        return None
    broken = [] if cookie.secure else ["Secure"]
    if name.startswith("__host-"):
        broken += ["Path=/"] if cookie.path != "/" else []
        broken += ["no Domain"] if cookie.domain else []
    return {"violations": broken} if broken else None


def _sets(*cookies: str) -> object:
    return example(headers=[("set-cookie", cookie) for cookie in cookies])


_CATEGORY: Final = "Authentication & Session"
_DELETED: Final = _sets("sid=; Max-Age=0", "old=deleted; Expires=Thu, 01 Jan 1970 00:00:00 GMT")

RULES: Final = (
    Rule(
        id="insecure-cookie",
        severity="medium",
        category=_CATEGORY,
        owasp=AUTHENTICATION,
        description="A cookie is not marked Secure or HttpOnly.",
        judge=_insecure_cookie,
        bad=(
            _sets("sid=1; Path=/"),
            _sets("sid=1; Secure"),
            _sets("a=1; Secure; HttpOnly\nb=2; HttpOnly"),
            _sets("a=1; Path=/; Secure; HttpOnly, b=2; Path=/"),
            _sets("XSRF-TOKEN=1; Path=/"),
            _sets("sid=1; Expires=Thu, 01 Jan 2099 00:00:00 GMT"),
        ),
        good=(
            _sets("sid=1; secure ; HTTPONLY"),
            _sets("XSRF-TOKEN=1; Secure; SameSite=Strict"),
            _DELETED,
            example(
                headers=[
                    ("date", "Tue, 02 Jan 2024 00:00:00 GMT"),
                    ("set-cookie", "sid=x; Expires=Mon, 01 Jan 2024 00:00:00 GMT"),
                ]
            ),
        ),
    ),
    Rule(
        id="missing-samesite",
        severity="low",
        category=_CATEGORY,
        owasp=AUTHENTICATION,
        description="A cookie has no SameSite that browsers respect.",
        judge=_missing_samesite,
        bad=(_sets("a=1"), _sets("a=1; SameSite="), _sets("a=1; SameSite=Bogus"), _sets("a=1; SameSite=None")),
        good=(_sets("a=1; SameSite = Lax"), _sets("a=1; samesite=STRICT", "b=1; SameSite=None; Secure"), _DELETED),
    ),
    Rule(
        id="cookie-prefix-violation",
        severity="medium",
        category=_CATEGORY,
        owasp=AUTHENTICATION,
        description="A cookie breaks what its prefix promises: browsers refuse it.",
        judge=_prefix_violation,
        bad=(_sets("__Host-sid=1; Secure; Path=/; Domain=shop.example"), _sets("__Secure-sid=1; HttpOnly")),
        good=(
            _sets("__Host-sid=1; Secure; Path=/"),
            _sets("__Secure-sid=1; Secure; Domain=shop.example"),
            _sets("h=1"),
        ),
    ),
)
