"""What pages keep in storage and cookies: a look where it is sensitive."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from bullpen_processors.sast.scopes import Assignment, Call, Function
from bullpen_processors.sast.spots import HARMLESS, Look, Spot

_SENSITIVE: Final = re.compile(
    r"(?:pass(?:word|wd|phrase|code)|pwd|secret|token|credential|api_?key|private_?key|ssn|credit_?card|card_?number|cvv|jwt"
    r"|session_?id|auth(?:orization)?$|bearer)",
    re.IGNORECASE,
)
_STORAGE_MEMBER: Final = re.compile(r"(?:window\.|self\.)?\w+\s*(?:\?\.|\.)\s*\w+|(?:window\.)?\w+\s*\[[^\]]*\]")
_STORAGE: Final = ("localStorage", "sessionStorage")
_STORING: Final = frozenset({"setItem", "put", "putObject", "set", "add"})


class Storage(Look):
    """Looks at what is written and read."""

    def spots(self) -> Iterator[Spot]:
        """Yield every spot."""
        for call in self.page.calls:
            if call.name in _STORING:
                yield from self._stored(call)
        for assignment in self.page.assignments:
            yield from self._assignment(assignment)
        yield from self._reads()

    def _stored(self, call: Call) -> Iterator[Spot]:
        path = self.page.path.get(call.receiver, "")
        cache = path in ("$cookies", "$cookieStore", "$templateCache", "$cacheFactory", "Cookies", "import:js-cookie")
        given = call.syntax.named_children[-1].named_children
        if len(given) < 2 or (path not in _STORAGE and not cache):
            return
        sensitive = self._sensitive(call.unit, given[1]) or (not cache and self._sensitive(call.unit, given[0]))
        yield self.spot("sensitive-storage", call, 0, "" if sensitive else HARMLESS, "medium")

    def _sensitive(self, unit: int, syntax: Any) -> bool:
        if syntax.type in ("number", "true", "false", "null"):
            return False
        source = self.units[unit].tree.source[syntax.start_byte : min(syntax.end_byte, syntax.start_byte + 200)]
        return _SENSITIVE.search(source.decode("utf-8", "replace")) is not None

    def _assignment(self, found: Assignment) -> Iterator[Spot]:
        path = found.path
        if path == "document.cookie" or (found.name == "cookie" and self._is_document(found)):
            yield self.spot("no-document-cookie-write", found)
            if self._sensitive(found.unit, found.syntax.named_children[-1]):
                yield self.spot("sensitive-storage", found, 0, "", "medium")
        elif path == "document.domain":
            yield self.spot("document-domain", found, 0, "", "medium")
        elif path.startswith(("localStorage.", "sessionStorage.")) and not found.is_jsx:
            value = found.syntax.named_children[-1]
            sensitive = _SENSITIVE.search(found.name) is not None or self._sensitive(found.unit, value)
            reason = "" if sensitive else HARMLESS
            yield self.spot("sensitive-storage", found, 0, reason, "medium")
            target = found.target
            yield Spot(
                "no-localstorage-sensitive",
                found.unit,
                target.start_byte,
                target.end_byte,
                "MemberExpression",
                target.start_byte,
                reason,
            )

    def _is_document(self, found: Assignment) -> bool:
        call = self.page.results.get(found.receiver)
        functions = self.flows.links.functions(call.callee) if call is not None else ()
        return any(
            self.page.path.get(value) == "document"
            for made in functions
            if isinstance(made, Function)
            for value in made.returns
        )

    def _reads(self) -> Iterator[Spot]:
        path = self.page.path
        for value, (base, _) in self.page.derived.items():
            of = path.get(value)
            if of == "document.cookie":
                place = self.page.graph.where[value]
                at = place & 0xFFFFFFFF
                yield Spot("document-cookie-read", place >> 32, at, at + 15, "MemberExpression", at)
            elif path.get(base) in _STORAGE:
                place = self.page.graph.where[value]
                at = place & 0xFFFFFFFF
                end, sensitive = self._member_end(place >> 32, at)
                yield Spot(
                    "no-localstorage-sensitive",
                    place >> 32,
                    at,
                    end,
                    "MemberExpression",
                    at,
                    "" if sensitive else HARMLESS,
                    "medium",
                )

    def _member_end(self, unit: int, start: int) -> tuple[int, bool]:
        """Return where `localStorage.x` ends, and whether what surrounds it speaks of something sensitive."""
        source = self.units[unit].tree.source[start : start + 160]
        text = source.decode("utf-8", "replace").partition("\n")[0]
        match = _STORAGE_MEMBER.match(text)
        end = start + len(match[0].encode()) if match is not None else start
        return end, _SENSITIVE.search(re.split(r"[;{}]", text, maxsplit=1)[0]) is not None
