"""Parameters that lead to another site."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from bullpen_processors.http.evidence import Evidence
from bullpen_processors.http.inputs import Field
from bullpen_processors.http.payloads import find
from bullpen_processors.http.rule import ACCESS_CONTROL, Rule, example
from bullpen_processors.http.urls import host_of, same_site
from bullpen_processors.http.view import View
from bullpen_processors.ontoweb.vulnerabilities import Vulnerability

_NAME: Final = re.compile(
    r"\w{0,20}redir(?:ect)?(?:ion)?(?:url|uri|to|path|page|location)?|r?url|ru|u|link|href|location"
    r"|(?:return|next|continue|goto|go|dest|destination|target|forward|back|callback|success|failure|fail|cancel|error"
    r"|login|logout|signin|signout|checkout|exit|out|jump|referrer|referer|service|from)(?:url|uri|to|path|page|link)?"
    r"|relaystate|spring-security-redirect",
    re.IGNORECASE | re.ASCII,
)
_AMBIGUOUS: Final = ("url", "u", "link", "href")
_SHARES: Final = re.compile(
    r"shar(?:e|er|ing)|intent|tweet|oembed|embed|pin/create|submit|bookmark|collect|beacon|preview"
)
"""Hosts and paths of services that are given the address of a page as data: nobody is sent there."""
_AWAY: Final = re.compile(r"[\s\x00-\x20]{0,20}(?:https?:[/\\]{1,9}|[/\\]{2,9})[^/\\\s]", re.IGNORECASE | re.ASCII)
_SCRIPT: Final = re.compile(r"[\s\x00-\x20]{0,20}(?:javascript|data|vbscript):", re.IGNORECASE | re.ASCII)
_CLIENT: Final = "clientid"


def _open_redirect(view: View) -> Evidence | None:
    fields = [*(field for _, field in view.params), *view.query]
    # An authorization server compares the address with the one that the client registered
    registered = any(_plain(field.names[-1]) == _CLIENT for field in fields)
    shares = _SHARES.search(f"{view.host}{view.path}".lower()) is not None

    def match(field: Field) -> str | None:
        name = _plain(field.names[-1])
        if not _NAME.fullmatch(name) or (registered and name.startswith("redirect")):
            return None
        if shares and name in _AMBIGUOUS:
            return None
        return next((kind for value in field.values if (kind := _leads_away(value, view.host))), None)

    found = find(view, match)
    if found is None or not _was_followed(view, fields):
        return found
    note = "The response sends the browser there."
    return Evidence(found.kind, {**found.facts, "redirected": True}, params=found.params, note=note)


def _plain(name: str) -> str:
    return name[:64].replace("_", "").replace("-", "").replace(".", "").strip().lower()


def _leads_away(value: str, host: str) -> str | None:
    if _SCRIPT.match(value):
        return "script URL"
    if not _AWAY.match(value):
        return None
    # one slash after the scheme is as good as two to browsers
    target = host_of(re.sub(r"^\s{0,20}https?:[/\\]{0,9}", "//", value[:4096], flags=re.IGNORECASE))
    return None if same_site(target, host) else "another site"


def _was_followed(view: View, fields: Sequence[Field]) -> bool:
    location = view.response_header("location")
    return bool(location) and any(location in field.values for field in fields)


def _query(query: str, path: str = "/go") -> object:
    return example(f"https://shop.example{path}?{query}")


RULES: Final = (
    Rule(
        id="open-redirect",
        severity="high",
        category="Access Control",
        owasp=ACCESS_CONTROL,
        description="A parameter leads to another site: a possible open redirect.",
        judge=_open_redirect,
        bad=(
            _query("url=http://evil.example.net"),
            _query("next=//evil.example.net"),
            _query("next=/%5Cevil.example.net"),
            _query("return_to=https%3A%2F%2Fshop.example.evil.net"),
            _query("returnUrl=https:/evil.net"),
            _query("redirect_uri=http://shop.example@evil.net"),
            _query("goto=javascript:alert(1)"),
            example(form="dest=https://evil.example.net"),
        ),
        good=(
            _query("redirect=https://shop.example/cart&next=/cart&url=cart"),
            _query("redirect=https://www.shop.example/cart"),
            _query("url=https://other.example.net/p", "/share"),
            _query("client_id=x&redirect_uri=https://app.example.net/cb", "/authorize"),
            _query("image_url=https://cdn.example.net/a.png&q=http://evil.example.net"),
        ),
        vulnerability=Vulnerability.OPEN_REDIRECT,
    ),
)
