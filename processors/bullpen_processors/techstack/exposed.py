"""Findings about a header or a cookie. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pyoxigraph as ox

from bullpen_processors.api import Json
from bullpen_processors.ontoweb.javascript import is_number, member, number_text, text, truthy
from bullpen_processors.ontoweb.terms import Triple, literal
from bullpen_processors.ontoweb.vocabulary import TYPE, XSD, Ontology
from bullpen_processors.techstack.cookies import Cookie
from bullpen_processors.techstack.findings import TechstackFinding, local
from bullpen_processors.techstack.headers import HeaderEntry
from bullpen_processors.techstack.issues import Issue

_BOOLEAN: Final = ox.NamedNode(XSD + "boolean")
_DOUBLE: Final = ox.NamedNode(XSD + "double")


class HeaderFinding(TechstackFinding):
    """A header that is missing or weak."""

    kind = "HeaderIssue"
    classes = ("HeaderFinding",)

    def __init__(self, entry: HeaderEntry, issue: Issue, main_domain: Json) -> None:
        super().__init__(f"header:{entry.name}:{issue.rule}", issue, main_domain)
        self._entry = entry

    @property
    def evidence(self) -> dict[str, Json]:
        """The header as it came, and where; its value where one was given."""
        value = {} if self._entry.value is None else {"value": self._entry.value[:1_000]}
        return {"type": "Header", **_kept(self._entry.given, "header"), "urls": self._entry.given_urls, **value}

    def aggregate(self) -> Json:
        """Return the element of `secureHeaders`."""
        issue = self.issue
        return {
            **_kept(self._entry.given, "header"), "description": self._entry.description,
            "urls": self._entry.given_urls,
            "risk": issue.severity, "severity": issue.severity, "category": issue.category, "rule": issue.rule,
            "remediation": issue.remediation,
        }  # fmt: skip

    @property
    def _name(self) -> str:
        header = member(self._entry.given, "header")
        return text(header) if truthy(header) else ""

    def shared(self, ex: Ontology, /) -> Iterator[ox.NamedNode]:
        """Yield the header's node."""
        if self._name:
            yield ex[f"Header_{local(self._name)}"]

    def places(self, node: ox.NamedNode, ex: Ontology) -> Iterator[Triple]:
        """Yield the header, and where it was seen or missed."""
        if not self._name:
            return
        header = ex[f"Header_{local(self._name)}"]
        yield node, ex["headerName"], literal(self._name)
        yield node, ex["refersToHeader"], header
        yield header, TYPE, ex["MessageHeader"]
        yield header, ex["fieldName"], literal(self._name)
        for url in self._entry.urls:
            yield node, ex["headerUrl"], literal(url)


class CookieFinding(TechstackFinding):
    """A cookie that is not protected."""

    kind = "CookieIssue"
    classes = ("CookieFinding",)

    def __init__(self, cookie: Cookie, issue: Issue, main_domain: Json) -> None:
        super().__init__(f"cookie:{cookie.domain or 'unknown'}:{cookie.name}:{issue.rule}", issue, main_domain)
        self._cookie = cookie

    @property
    def evidence(self) -> dict[str, Json]:
        """The cookie without its value."""
        facts = cookie_facts(self._cookie)
        flags = {name: facts.pop(name) for name in ("secure", "httpOnly", "sameSite")}
        return {"type": "Cookie", **facts, "flags": flags}

    def _node(self, ex: Ontology) -> ox.NamedNode:
        parts = (self._cookie[name] for name in ("domain", "path", "name"))
        return ex["Cookie_" + local("|".join(text(part) if truthy(part) else "" for part in parts))]

    def shared(self, ex: Ontology, /) -> Iterator[ox.NamedNode]:
        """Yield the cookie's node."""
        yield self._node(ex)

    def places(self, node: ox.NamedNode, ex: Ontology) -> Iterator[Triple]:
        """Yield the cookie: its node says the same as the finding."""
        cookie = self._node(ex)
        yield cookie, TYPE, ex["Cookie"]
        yield node, ex["refersToCookie"], cookie
        for name, value in self._said():
            yield node, ex[name], value
            yield cookie, ex[name], value

    def _said(self) -> Iterator[tuple[str, ox.Literal]]:
        cookie = self._cookie
        for name, key in (("cookieName", "name"), ("cookieDomain", "domain"), ("cookiePath", "path")):
            if truthy(cookie[key]):
                yield name, literal(text(cookie[key]))
        yield "cookieSecure", literal(text(cookie.secure), _BOOLEAN)
        yield "cookieHttpOnly", literal(text(cookie.http_only), _BOOLEAN)
        if truthy(cookie["sameSite"]):
            yield "cookieSameSite", literal(text(cookie["sameSite"]))
        if is_number(cookie["expirationDate"]) and cookie["expirationDate"]:
            yield "cookieExpiration", literal(number_text(cookie["expirationDate"]), _DOUBLE)


def cookie_facts(cookie: Cookie) -> dict[str, Json]:
    """Return what is shown of a cookie."""
    rest = {name: _or_null(cookie[name]) for name in ("domain", "path", "sameSite", "expirationDate")}
    return {**_kept(cookie.given, "name"), **rest, "secure": cookie.secure, "httpOnly": cookie.http_only}


def _or_null(value: Json) -> Json:
    return value if truthy(value) else None


def _kept(given: Json, name: str) -> dict[str, Json]:
    """Repeat a property as it came, where there is one at all."""
    return {name: given[name]} if isinstance(given, dict) and name in given else {}
