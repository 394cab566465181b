"""Pages over https that load parts of themselves over http."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from bullpen_processors.http.evidence import Evidence
from bullpen_processors.http.markup import Tag
from bullpen_processors.http.rule import CONFIGURATION, Rule, example
from bullpen_processors.http.urls import scheme_of
from bullpen_processors.http.view import View
from bullpen_processors.ontoweb.javascript import trim

MOST_SHOWN: Final = 10
"""Resources that a finding names: as many as the original."""

_LOADED: Final = {
    "script": ("src",), "iframe": ("src",), "frame": ("src",), "embed": ("src",), "img": ("src", "srcset"),
    "audio": ("src",), "video": ("src", "poster"), "source": ("src", "srcset"), "track": ("src",), "input": ("src",),
    "object": ("data",), "form": ("action",), "button": ("formaction",), "body": ("background",), "base": ("href",),
    "image": ("href", "xlink:href"), "use": ("href", "xlink:href"),
}  # fmt: skip
"""Element -> attributes whose URL the browser fetches, sends a form to, or takes for the base of others."""
_LOADED_LINKS: Final = {"stylesheet", "icon", "preload", "modulepreload", "prefetch", "manifest", "apple-touch-icon"}
_SRCSET_URL: Final = re.compile(r"http://[^\s,]++", re.IGNORECASE)
_CSS_URL: Final = re.compile(r"""(?:url\(|@import)\s{0,9}["']?(http://[^"'()\s;]{1,2000})""", re.IGNORECASE | re.ASCII)
_SCRIPT_LOAD: Final = re.compile(
    r"""(?:\.(?:src|href|action)\s{0,9}=|\b(?:fetch|import|importScripts|Worker|EventSource|load|getScript)\s{0,9}\(?"""
    r"""|\bopen\s{0,9}\(\s{0,9}["'][a-zA-Z]{1,9}["']\s{0,9},)\s{0,9}["'`](http://[^"'`\s]{1,2000})""",
    re.ASCII,
)
_CSS_TYPE: Final = "text/css"
_SCRIPT_TYPE: Final = re.compile(r"(?:text|application)/(?:x-)?(?:java|ecma)script")


def _mixed_content(view: View) -> Evidence | None:
    if view.scheme != "https":
        return None
    resources = list(islice(_resources(view), MOST_SHOWN))
    return Evidence("body", {"location": "responseBody", "insecureResources": resources}) if resources else None


def _resources(view: View) -> Iterator[str]:
    text = view.response_body.text
    if "http://" not in text and "HTTP://" not in text:
        return
    if view.is_html or (not view.media_type and "<" in text) or view.media_type == "image/svg+xml":
        for tag in view.tags:
            yield from _of_tag(tag)
    elif view.media_type == _CSS_TYPE:
        yield from _CSS_URL.findall(text)
    elif _SCRIPT_TYPE.match(view.media_type):
        yield from _SCRIPT_LOAD.findall(text)


def _of_tag(tag: Tag) -> Iterator[str]:
    attributes = tag.attributes
    names = _LOADED.get(tag.name, ())
    if tag.name == "link" and _LOADED_LINKS & set(attributes.get("rel", "").lower().split()):
        names = ("href",)
    for name in names:
        value = trim(attributes.get(name, ""))
        if name == "srcset":
            yield from _SRCSET_URL.findall(value)
        elif scheme_of(value) == "http":
            yield value
    yield from _CSS_URL.findall(attributes.get("style", ""))
    if tag.text:
        yield from (_CSS_URL if tag.name == "style" else _SCRIPT_LOAD).findall(tag.text)


def _page(body: str, url: str = "https://shop.example/", kind: str = "text/html") -> object:
    return example(url, headers=[("content-type", kind)], body=body)


RULES: Final = (
    Rule(
        id="mixed-content",
        severity="medium",
        category="Transport Security",
        owasp=CONFIGURATION,
        description="The HTTPS page loads parts of itself over HTTP.",
        judge=_mixed_content,
        bad=(
            _page('<script src="http://cdn.example/a.js?v=3"></script>'),
            _page("<iframe src=http://ads.example/></iframe>"),
            _page('<IMG SRCSET="/a.webp 1x, HTTP://cdn.example/b.webp 2x">'),
            _page('<link rel="preload stylesheet" href="http://cdn.example/s">'),
            _page('<form action="http://shop.example/login">'),
            _page('<p style="background: url(http://cdn.example/p)">'),
            _page("<script>x.src = 'http://cdn.example/x'</script>"),
            _page("@import 'http://cdn.example/a.css';", kind="text/css"),
            _page("fetch('http://api.example/')", kind="text/javascript"),
        ),
        good=(
            _page('<script src="http://cdn.example/a.js"></script>', "http://shop.example/"),
            _page('<a href="http://other.example/photo.png">see</a>'),
            _page("see http://plain.example/ and <b>app.js</b> or 'site.css'"),
            _page('<script src="//cdn.example/a.js"></script>'),
            _page('<!-- <script src="http://cdn.example/a.js"> -->'),
            _page('<script type="application/ld+json">{"image": "http://cdn.example/a.png"}</script>'),
            _page('{"logo": "http://cdn.example/a.png"}', kind="application/json"),
        ),
    ),
)
