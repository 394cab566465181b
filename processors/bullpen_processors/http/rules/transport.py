"""Requests that anyone on the way can read."""

from __future__ import annotations

from typing import Final

from bullpen_processors.http.evidence import Evidence
from bullpen_processors.http.rule import CONFIGURATION, Rule, example
from bullpen_processors.http.urls import host_of, is_loopback, scheme_of
from bullpen_processors.http.view import View
from bullpen_processors.ontoweb.javascript import member, truthy

_CLEARTEXT: Final = ("http", "ws")
_REDIRECTS: Final = (301, 302, 303, 307, 308)


def _insecure_http(view: View) -> Evidence | None:
    if view.scheme not in _CLEARTEXT or is_loopback(host_of(view.url)) or _only_asks_for_https(view):
        return None
    uri = member(view.exchange.given, "uri")
    scheme = member(uri, "scheme")
    shown = {"full": member(uri, "full"), "scheme": scheme if truthy(scheme) else view.scheme}
    return Evidence("transport", {"scheme": view.scheme, "uri": shown})


def _only_asks_for_https(view: View) -> bool:
    """Tell whether nothing was at stake: a plain GET that the same site answers by a redirect to https."""
    location = view.response_header("location")
    asked, target = host_of(view.url), host_of(location)
    carries = view.exchange.body or view.request_header("cookie") or view.request_header("authorization")
    return (
        view.status in _REDIRECTS
        and scheme_of(location) == "https"
        and asked.removeprefix("www.") == target.removeprefix("www.")
        and not carries
    )


RULES: Final = (
    Rule(
        id="insecure-http",
        severity="high",
        category="Transport Security",
        owasp=CONFIGURATION,
        description="The request went over HTTP, where anyone on the way can read and change it.",
        judge=_insecure_http,
        bad=(
            example("http://shop.example/login"),
            example(" HTTP://shop.example/"),
            example("ws://shop.example/feed"),
            example("http://shop.example/", status=301, headers=[("location", "http://www.shop.example/")]),
            example(
                "http://shop.example/",
                sent=[("cookie", "sid=1")],
                status=301,
                headers=[("location", "https://shop.example/")],
            ),
        ),
        good=(
            example("https://shop.example/?back=http://shop.example/"),
            example("http://localhost:3000/"),
            example("http://127.0.0.1:8080/x"),
            example("http://[::1]/"),
            example("http://shop.example/", status=301, headers=[("location", "https://www.shop.example/")]),
        ),
    ),
)
