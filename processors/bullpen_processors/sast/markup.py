"""The page as a browser sees it, and what is wrong with its markup. Offsets count UTF-16 units."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlsplit

import turbohtml

from bullpen_processors.ontoweb.javascript import well_formed
from bullpen_processors.sast.audit import DEAD, SAME_SITE
from bullpen_processors.sast.units import HANDLERS

_SCRIPT_END: Final = re.compile(r"</script[\s/>]", re.IGNORECASE)
_REDIRECT: Final = re.compile(r"(?:redirect|target)=https?://[^\"'\s<>]{1,2000}", re.IGNORECASE)
_HANDLER: Final = re.compile(r"on[a-z]{3,30}")
_EXPRESSION: Final = re.compile(r"expression\s{0,20}\(", re.IGNORECASE)
_TEMPLATE: Final = re.compile(r"\{\{|<%|\[%|\{%|\$\{")
_CDN: Final = re.compile(
    r"^(?:https?:)?//(?:cdnjs\.cloudflare\.com|code\.jquery\.com|maxcdn\.bootstrapcdn\.com|stackpath\.bootstrapcdn\.com)/",
    re.IGNORECASE,
)
_COMPROMISED: Final = re.compile(
    r"^(?:https?:)?//(?:[\w-]+\.)*(?:polyfill\.io|bootcdn\.net|bootcss\.com|staticfile\.(?:net|org)|unionadjs\.com|xhsbpza\.com|union\.macoms\.la|newcrbpc\.com)/",
    re.IGNORECASE,
)
"""Hosts that served malicious scripts under a name that pages trusted (polyfill.io, June 2024)."""
_LOCAL: Final = re.compile(r"^http://(?:localhost|127\.|0\.0\.0\.0|\[?::1\]?)", re.IGNORECASE)


@dataclass(slots=True)
class Mark:
    """A finding in markup, or with a *reason* none."""

    rule: str
    start: int
    end: int
    line: int
    column: int
    reason: str = ""
    element: Element | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Element:
    """An element as it stands in the page."""

    tag: str
    attributes: Mapping[str, str]
    spans: Mapping[str, tuple[int, int]]
    start: int
    end: int
    number: int
    """Among elements of its tag."""
    text: str = ""


class Markup:
    """The elements of a page."""

    def __init__(self, html: str, url: str) -> None:
        self.html = well_formed(html)
        self.url = url
        self.host = _host(url)

    @cached_property
    def elements(self) -> list[Element]:
        """Every element that stands in the page's text, once."""
        found: dict[int, Element] = {}
        counts: dict[str, int] = {}
        read = 0
        if not self.html:
            return []
        document = turbohtml.parse(self.html, source_locations=True)
        for node in document.iter_elements():
            at = node.source_location
            if at is None or at.start_tag.start_offset in found:
                continue
            spans = {name: (span.start_offset, span.end_offset) for name, span in at.attrs.items()}
            attributes = {name: _text(value) for name, value in node.attrs.items()}
            number = counts.get(node.tag, 0)
            counts[node.tag] = number + 1
            start, end = at.start_tag.start_offset, at.start_tag.end_offset
            element = Element(node.tag, attributes, spans, start, end, number)
            if node.tag == "script" and end >= read:  # each character is in one script at most, whatever the nesting
                read = self._end_of_script(end)
                element.text = self.html[end:read]
            found[start] = element
        return list(found.values())

    def _end_of_script(self, start: int) -> int:
        """Return where a script's text ends; in deep trees, the parser does not say."""
        match = _SCRIPT_END.search(self.html, start)
        return len(self.html) if match is None else match.start()

    @property
    def bases(self) -> list[str]:
        """What `<base href>` say, in order: the first counts."""
        return [
            element.attributes["href"]
            for element in self.elements
            if element.tag == "base" and "href" in element.attributes
        ]

    @cached_property
    def _attributes(self) -> list[tuple[int, int]]:
        return sorted(span for element in self.elements for span in element.spans.values())

    def in_attribute(self, offset: int) -> bool:
        """Tell whether a place lies in an attribute: not in a comment, a script or text."""
        index = bisect_right(self._attributes, (offset, 1 << 60)) - 1
        return index >= 0 and self._attributes[index][0] <= offset < self._attributes[index][1]

    def utf16(self, offset: int) -> int:
        """Return an offset in UTF-16 units."""
        return offset + bisect_right(self._astral, offset - 1) if self._astral else offset

    @cached_property
    def _astral(self) -> list[int]:
        return [] if self.html.isascii() else [index for index, char in enumerate(self.html) if char > "\uffff"]

    @cached_property
    def _lines(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer(r"\n", self.html))]

    def mark(
        self, rule: str, start: int, end: int, reason: str = "", element: Element | None = None, **extra: Any
    ) -> Mark:
        """Make a finding of a place."""
        row = bisect_right(self._lines, start) - 1
        return Mark(rule, self.utf16(start), self.utf16(end), row + 1, start - self._lines[row], reason, element, extra)

    def marks(self) -> Iterator[Mark]:
        """Yield every finding, and what the original would have taken for one."""
        for element in self.elements:
            yield from self._element(element)
            judge = _BY_TAG.get(element.tag)
            if judge is not None:
                yield from judge(self, element)
        yield from self._redirects()
        yield from self._dead()

    def _element(self, element: Element) -> Iterator[Mark]:
        for name, (start, _) in element.spans.items():
            value = element.attributes.get(name) or ""
            if value and (name in HANDLERS or _HANDLER.fullmatch(name)):
                yield self.mark("html-inline-event", start, start + len(name), element=element)
            elif name == "style" and _EXPRESSION.search(value):
                yield self.mark("html-inline-style-expression", start, start + 10, element=element)
            elif name in ("href", "src", "action", "formaction") and is_script_url(value):
                yield self.mark("html-javascript-url", start, start + len(name), element=element)

    def _iframe(self, element: Element) -> Iterator[Mark]:
        source = element.attributes.get("src") or ""
        if "srcdoc" in element.spans or source.strip().lower().startswith("data:text/html"):
            yield self.mark("html-iframe-srcdoc", element.start, element.start + 15, element=element)
        yield from self._included(element)

    def _script(self, element: Element) -> Iterator[Mark]:
        yield from self._included(element)

    def _included(self, element: Element) -> Iterator[Mark]:
        source = (element.attributes.get("src") or "").strip()
        safe = bool(element.attributes.get("integrity")) and element.tag == "script"
        plain = source.lower().startswith("http://") and not _LOCAL.match(source) and not safe
        unchecked = element.tag == "script" and not safe and _CDN.match(source) is not None
        if plain or unchecked or _COMPROMISED.match(source):
            yield self.mark("html-untrusted-include", element.start, element.end, element=element)

    def _form(self, element: Element) -> Iterator[Mark]:
        method = (element.attributes.get("method") or "").strip().lower()
        action = (element.attributes.get("action") or "").strip()
        if method == "get":
            yield self.mark("form-method-get", element.start, element.end, element=element)
        if re.match(r"https?://", action, re.IGNORECASE):
            own = _host(action) == self.host and self.host != ""
            yield self.mark(
                "form-external-action",
                element.start,
                element.end,
                SAME_SITE if own else "",
                element,
                externalTarget=action,
            )

    def _link(self, element: Element) -> Iterator[Mark]:
        target, rel = (element.attributes.get(name) or "" for name in ("target", "rel"))
        if target.strip().lower() != "_blank" or re.search(r"\bno(?:opener|referrer)\b", rel, re.IGNORECASE):
            return
        href = (
            element.attributes.get("href")
            or element.attributes.get("data-ng-href")
            or element.attributes.get("ng-href")
            or ""
        )
        template = _TEMPLATE.search(href)
        if template is not None and not _fixes_host(href[: template.start()]):
            yield self.mark("html-target-blank", element.start, element.end, element=element)

    def _redirects(self) -> Iterator[Mark]:
        lowered = self.html.lower()
        if "=http" not in lowered:
            return
        for match in _REDIRECT.finditer(self.html):
            reason = "" if self.in_attribute(match.start()) else DEAD
            if not reason and _host(match[0].partition("=")[2]) == self.host != "":
                reason = SAME_SITE
            yield self.mark("form-open-redirect", match.start(), match.end(), reason)

    def _dead(self) -> Iterator[Mark]:
        """Handlers that stand where no browser reads them: comments, scripts, text."""
        starts = {start for start, _ in self._attributes}
        for name in HANDLERS:
            for match in re.finditer(rf"\b{name}\s{{0,20}}=\s{{0,20}}[\"']", self.html, re.IGNORECASE | re.ASCII):
                if match.start() not in starts:
                    yield self.mark("html-inline-event", match.start(), match.start() + len(name), DEAD)


_BY_TAG: Final = {
    "iframe": Markup._iframe,
    "script": Markup._script,
    "form": Markup._form,
    "a": Markup._link,
    "area": Markup._link,
}


def is_script_url(value: str) -> bool:
    """Tell whether an address is code, as browsers read it: blanks and control characters do not count."""
    return (
        re.match(
            r"[\x00-\x20]*j[\t\n\r]*a[\t\n\r]*v[\t\n\r]*a[\t\n\r]*s[\t\n\r]*c[\t\n\r]*r[\t\n\r]*i[\t\n\r]*p[\t\n\r]*t[\t\n\r]*:",
            value,
            re.IGNORECASE,
        )
        is not None
    )


def _fixes_host(head: str) -> bool:
    text = head.strip().lower()
    if re.match(r"(?:https?:)?//[^/?#]+[/?#]", text):
        return True
    return not re.match(r"(?:https?:)?//|[a-z][a-z0-9+.-]*:", text) and bool(text)


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else " ".join(value) if isinstance(value, list | tuple) else ""
