"""Responses that let other sites read them."""

from __future__ import annotations

import re
from typing import Final

from bullpen_processors.http.evidence import Evidence
from bullpen_processors.http.rule import CONFIGURATION, Rule, example
from bullpen_processors.http.urls import host_of, same_site
from bullpen_processors.http.view import View
from bullpen_processors.ontoweb.javascript import trim

_ALLOW: Final = "access-control-allow-origin"
_CREDENTIALS: Final = "access-control-allow-credentials"
_STATIC_TYPE: Final = re.compile(
    r"(?:font|image|audio|video)/|text/css$|(?:text|application)/(?:x-)?(?:javascript|font)"
)
_STATIC_PATH: Final = re.compile(
    r"\.(?:woff2?|ttf|otf|eot|css|m?js|map|png|jpe?g|gif|svg|webp|avif|ico|mp[34]|webm|ogg|wasm)$", re.IGNORECASE
)


def _cors(view: View) -> Evidence | None:
    credentials = view.response_header(_CREDENTIALS).lower() == "true"
    allowed = list(view.response_headers(_ALLOW))
    hits = [hit for hit, header in allowed if _too_open(trim(header.shown), credentials=credentials, view=view)]
    if not hits:
        return None
    note = "Credentials are allowed too." if credentials else ""
    return Evidence("header", headers=hits, note=note)


def _too_open(origin: str, *, credentials: bool, view: View) -> bool:
    if origin == "*":
        return credentials or not _is_public_file(view)
    if origin == "null":
        return True  # any sandboxed frame has this origin
    asked = view.request_header("origin")
    return credentials and bool(origin) and origin == asked and not same_site(host_of(origin), view.host)


def _is_public_file(view: View) -> bool:
    """Tell whether the response is a file that is the same for everyone: a font, picture, script or style sheet."""
    private = view.cookies or view.request_header("authorization")
    return not private and bool(_STATIC_TYPE.match(view.media_type) or _STATIC_PATH.search(view.path[-16:]))


def _example(origin: str, url: str = "https://shop.example/api", credentials: str = "", asked: str = "") -> object:
    headers = [(_ALLOW, origin), *([(_CREDENTIALS, credentials)] if credentials else [])]
    return example(url, sent=[("Origin", asked)] if asked else [], headers=headers)


RULES: Final = (
    Rule(
        id="cors-misconfig",
        severity="medium",
        category="Transport Security",
        owasp=CONFIGURATION,
        description="The CORS policy lets sites read the response that should not.",
        judge=_cors,
        bad=(
            _example(" * "),
            _example("*", "https://cdn.example/a.woff2", "true"),
            _example("null"),
            _example("https://evil.example.net", credentials="true", asked="https://evil.example.net"),
        ),
        good=(
            _example("*", "https://cdn.example/f/a.woff2"),
            _example("https://partner.example", credentials="true"),
            _example("https://partner.example.net", asked="https://partner.example.net"),
            _example("https://www.shop.example", credentials="true", asked="https://www.shop.example"),
        ),
    ),
)
