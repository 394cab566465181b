"""What is wrong with the markup of a page. Offsets count UTF-16 units."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from bullpen_processors.sast.markup import Element, Markup, host_of
from bullpen_processors.sast.spots import DEAD, SAME_SITE
from bullpen_processors.sast.units import HANDLERS

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


class Marks:
    """Looks at the elements of a page."""

    def __init__(self, markup: Markup) -> None:
        self.markup = markup

    def mark(
        self, rule: str, start: int, end: int, reason: str = "", element: Element | None = None, **extra: Any
    ) -> Mark:
        """Make a finding of a place."""
        at = self.markup.point(start)
        return Mark(rule, self.markup.utf16(start), self.markup.utf16(end), *at, reason, element, extra)

    def marks(self) -> Iterator[Mark]:
        """Yield every finding, and what the original would have taken for one."""
        for element in self.markup.elements:
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
            own = host_of(action) == self.markup.host and self.markup.host != ""
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
        lowered = self.markup.html.lower()
        if "=http" not in lowered:
            return
        for match in _REDIRECT.finditer(self.markup.html):
            reason = "" if self.markup.in_attribute(match.start()) else DEAD
            if not reason and host_of(match[0].partition("=")[2]) == self.markup.host != "":
                reason = SAME_SITE
            yield self.mark("form-open-redirect", match.start(), match.end(), reason)

    def _dead(self) -> Iterator[Mark]:
        """Handlers that stand where no browser reads them: comments, scripts, text."""
        starts = {start for start, _ in self.markup.attributes}
        for name in HANDLERS:
            for match in re.finditer(
                rf"\b{name}\s{{0,20}}=\s{{0,20}}[\"']", self.markup.html, re.IGNORECASE | re.ASCII
            ):
                if match.start() not in starts:
                    yield self.mark("html-inline-event", match.start(), match.start() + len(name), DEAD)


_BY_TAG: Final = {
    "iframe": Marks._iframe,
    "script": Marks._script,
    "form": Marks._form,
    "a": Marks._link,
    "area": Marks._link,
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
