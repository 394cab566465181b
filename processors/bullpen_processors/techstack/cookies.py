"""Cookies of a site, judged by their attributes, their names and whose they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bullpen_processors.api import Json, UnusableInputError
from bullpen_processors.ontoweb.javascript import is_number, member, text, truthy
from bullpen_processors.techstack.issues import Issue
from bullpen_processors.techstack.lookups import Explain
from bullpen_processors.techstack.reasons import Reason
from bullpen_processors.techstack.sites import host_of, same_site

YEAR_S: Final = 31_536_000
_RESPECTED: Final = frozenset({"lax", "strict", "none"})
"""SameSite values that browsers respect, in any case (RFC 6265bis, 5.6.7)."""
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", re.ASCII)
_CREDENTIAL: Final = frozenset(
    {
        "session",
        "sessions",
        "sess",
        "sessid",
        "sessionid",
        "token",
        "tokens",
        "id",
        "sid",
        "uid",
        "userid",
        "jwt",
        "auth",
    }
)
_JOINED: Final = re.compile(
    r"sess(?:ion)?_?id|session(?:id|token|key)?$|^session|(?:access|auth|csrf|xsrf|refresh|id)token", re.IGNORECASE
)

_ORIGINAL: Final = re.compile("session|token|id", re.IGNORECASE)
"""What the original looks for anywhere in a name: worth a word where it misleads."""

_SECURE: Final = Issue(
    "missing_secure", "HIGH", "SessionHijacking", "The cookie is not marked as Secure: it is sent over http, too.",
    "Set Secure.",
)  # fmt: skip
_HTTP_ONLY: Final = Issue("missing_httponly", "HIGH", "XSSDataTheft", "Scripts can read the cookie.", "Set HttpOnly.")
_SAME_SITE: Final = Issue(
    "missing_samesite",
    "MEDIUM",
    "CSRF",
    "The cookie has no SameSite that browsers respect.",
    "Set SameSite=Lax or Strict.",
)
_NONE: Final = Issue(
    "invalid_samesite_none", "HIGH", "CSRFSessionLeak", "SameSite=None without Secure: browsers refuse the cookie.",
    "Combine SameSite=None with Secure.",
)  # fmt: skip
_EXPIRY: Final = Issue(
    "long_expiry", "LOW", "PrivacyPersistence", "The cookie stays for more than a year.", "Shorten its lifetime."
)
_PREFIX: Final = Issue(
    "cookie_prefix_violation", "MEDIUM", "SessionHijacking",
    "The cookie breaks the promise of its prefix: browsers refuse it.",
    "__Secure- needs Secure; __Host- needs Secure, Path=/ and no Domain.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cookie:
    """One entry of `cookies`."""

    given: Json

    def __getitem__(self, name: str) -> Json:
        """Return a property as it came; None where there is none."""
        return member(self.given, name)

    @property
    def name(self) -> str:
        """As text, as JavaScript would write it."""
        return text(self["name"]) if "name" in (self.given if isinstance(self.given, dict) else ()) else "undefined"

    @property
    def domain(self) -> str:
        """As text; empty where there is none."""
        return text(self["domain"]) if truthy(self["domain"]) else ""

    @property
    def secure(self) -> bool:
        """Whether it is said to be Secure."""
        return truthy(self["secure"])

    @property
    def http_only(self) -> bool:
        """Whether it is said to be HttpOnly."""
        return truthy(self["httpOnly"])

    @property
    def same_site(self) -> str:
        """What browsers make of its SameSite: lax, strict, none, or nothing."""
        value = self["sameSite"]
        said = value.strip().lower() if isinstance(value, str) else ""
        return said if said in _RESPECTED else ""

    @property
    def shows_credential(self) -> bool:
        """Whether a word of its name says session, token or id: userId and PHPSESSID, not video or hidden."""
        words = {word.lower() for word in _WORD.findall(self.name[:512])}
        return not words.isdisjoint(_CREDENTIAL) or _JOINED.search(self.name[:512]) is not None


def judge(cookie: Cookie, main_domain: str, now: float, explain: Explain) -> list[Issue]:
    """Return what is wrong, in the order in which the original tells it."""
    if main_domain and truthy(cookie["domain"]) and not isinstance(cookie["domain"], str | list):
        raise UnusableInputError("c.domain.includes is not a function")
    return [
        *_flags(cookie),
        *_lifetime(cookie, now),
        *_owner(cookie, main_domain, explain),
        *_credential(cookie, explain),
    ]


def _flags(cookie: Cookie) -> Iterator[Issue]:
    if not cookie.secure:
        yield _SECURE
    if not cookie.http_only:
        yield _HTTP_ONLY
    # browsers' interfaces say no_restriction of cookies without SameSite as well as of those with None
    if not cookie.same_site:
        yield _SAME_SITE
    if not cookie.secure and (cookie.same_site == "none" or cookie["sameSite"] == "no_restriction"):
        yield _NONE
    if _breaks_prefix(cookie):
        yield _PREFIX


def _breaks_prefix(cookie: Cookie) -> bool:
    """Source: RFC 6265bis, 4.1.3; what nobody said is not held against it."""
    name = cookie.name.lower()
    if not name.startswith(("__secure-", "__host-")):
        return False
    if cookie["secure"] is False:
        return True
    return name.startswith("__host-") and (cookie.domain.startswith(".") or cookie["path"] not in (None, "", "/"))


def _lifetime(cookie: Cookie, now: float) -> Iterator[Issue]:
    ends = cookie["expirationDate"]
    if is_number(ends) and ends - now > YEAR_S:
        yield _EXPIRY


def _owner(cookie: Cookie, main_domain: str, explain: Explain) -> Iterator[Issue]:
    if not main_domain or not cookie.domain:
        return
    ours, theirs = host_of(main_domain), host_of(cookie.domain)
    if ours and theirs and same_site(ours, theirs):
        explain(f"cookie {cookie.name[:80]}", Reason.FIRST_PARTY, f"{theirs[:100]} belongs to {ours[:100]}")
        return
    yield Issue(
        "third_party_cookie", "LOW", "ThirdPartyTracking", f"The cookie comes from another site, {cookie.domain}.",
        "Check that it is needed, and allowed (GDPR).",
    )  # fmt: skip


def _credential(cookie: Cookie, explain: Explain) -> Iterator[Issue]:
    if cookie.secure and cookie.http_only:
        return
    if cookie.shows_credential:
        yield Issue(
            "unprotected_session_cookie", "HIGH", "SessionExposure",
            f"The cookie {cookie.name} may hold a credential, and is not protected as one.",
            "Set both Secure and HttpOnly.",
        )  # fmt: skip
    elif _ORIGINAL.search(cookie.name):
        explain(f"cookie {cookie.name[:80]}", Reason.NO_CREDENTIAL, "no word of its name says session, token or id")
