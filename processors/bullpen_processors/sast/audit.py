"""Calls and assignments that deserve a look without a flow: what, where, or why there is nothing to report."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bullpen_processors.sast.flows import Flows, Use, given, is_constant
from bullpen_processors.sast.scopes import Assignment, Call, Function
from bullpen_processors.sast.units import Unit

CONSTANT: Final = "constant argument"
HARMLESS: Final = "harmless value"
LIBRARY: Final = "library code"
DEAD: Final = "comment or dead text"
SAME_SITE: Final = "same site"
NO_FLOW: Final = "no flow"
REASONS: Final = (CONSTANT, HARMLESS, LIBRARY, DEAD, SAME_SITE, NO_FLOW)
"""Why something that looks like a finding is none."""

_SENSITIVE: Final = re.compile(
    r"(?:pass(?:word|wd|phrase|code)|pwd|secret|token|credential|api_?key|private_?key|ssn|credit_?card|card_?number|cvv|jwt"
    r"|session_?id|auth(?:orization)?$|bearer)",
    re.IGNORECASE,
)
_NAMESPACE: Final = re.compile(
    r"(?:https?|ftp)://(?:www\.)?(?:w3\.org|xml\.org|purl\.org|schema\.org|ns\.adobe\.com|schemas\.|json-schema\.org|xmlns\.|java\.sun\.com"
    r"|localhost|127\.|0\.0\.0\.0|\[::1\]|fb\.me|reactjs\.org|openoffice\.org|sodipodi|inkscape|www\.inkscape)",
    re.IGNORECASE,
)  # fmt: skip
_ORIGIN_CHECK: Final = re.compile(
    r"origin\b[\w.()\s]{0,40}(?:[!=]==?)|[!=]==?[\w.\s]{0,40}\.origin|(?:includes|test|has|indexOf|exec|match|contains|switch|\w*[oO]rigin\w*|\w*[aA]llow\w*|\w*[tT]rust\w*)"
    r"\s*\(\s*[\w.]{0,40}origin\b|origin\s*\.\s*(?:startsWith|endsWith|includes|match|indexOf|search)|\.source\s*[!=]==?|[!=]==?\s*\w+\.source\b"
    r"|\[\s*\w+\.origin\s*\]|origin\s+in\s"
)
_LOCAL_NODES: Final = ("element<", "$()<", "document.create")
_THEIR_TARGETS: Final = frozenset({"innerHTML", "outerHTML", "cookie", "name", "location", "href", "search", "hash"})
_THEIR_CALLS: Final = frozenset({"insertAdjacentHTML", "write", "eval", "open"})
_STORAGE_MEMBER: Final = re.compile(r"(?:window\.|self\.)?\w+\s*(?:\?\.|\.)\s*\w+|(?:window\.)?\w+\s*\[[^\]]*\]")
_STORAGE: Final = ("localStorage", "sessionStorage")
_BYPASS: Final = re.compile(
    r"(?:^|\.)(?:bypassSecurityTrust\w+|trustAs\w*|execUnsafeLocalFunction|setInnerHTMLUnsafe|setOuterHTMLUnsafe|insertAdjacentHTMLUnsafe)$"
)


@dataclass(slots=True)
class Spot:
    """A place in a script, with a rule's id; with a *reason* it is none."""

    rule: str
    unit: int
    start: int
    end: int
    type: str
    at: int
    """Byte of what people should look at: the value, rather than the whole call."""
    reason: str = ""
    confidence: str = "low"
    extra: dict[str, Any] = field(default_factory=dict)


class Audit:
    """Looks at what lowering recorded."""

    def __init__(self, flows: Flows, units: list[Unit]) -> None:
        self.flows = flows
        self.page = flows.page
        self.units = units

    def spots(self) -> Iterator[Spot]:
        """Yield every spot."""
        for uses in self.flows.uses.values():
            for use in uses:
                if use.sink.audit:
                    yield self._use(use)
        for call in self.page.calls:
            yield from self._call(call)
        for assignment in self.page.assignments:
            yield from self._assignment(assignment)
        yield from self._literal_sinks()
        yield from self._addresses()
        yield from self._reads()
        yield from self._messages()
        yield from self._without_flow()

    def _without_flow(self) -> Iterator[Spot]:
        """Places that the original's taint rule looks at, as none: a flow that ends there is reported instead."""
        for uses in self.flows.uses.values():
            for use in uses:
                yield self._spot("taint-flow", use.at, use.value, NO_FLOW)
        for assignment in self.page.assignments:
            if assignment.name in _THEIR_TARGETS and not assignment.is_jsx:
                yield self._spot("taint-flow", assignment, 0, NO_FLOW)
        for call in self.page.calls:
            if call.name in _THEIR_CALLS:
                yield self._spot("taint-flow", call, 0, NO_FLOW)

    def _use(self, use: Use) -> Spot:
        constant = is_constant(self.page, use.used, self.flows.clean)
        constant = constant and use.sink.audit != "no-eval"  # even so it forbids a policy without unsafe-eval
        return self._spot(use.sink.audit, use.at, use.value, CONSTANT if constant else "")

    def _spot(
        self, rule: str, at: Call | Assignment, value: int = 0, reason: str = "", confidence: str = "low"
    ) -> Spot:
        syntax = at.syntax
        place = self.page.byte_of(value, syntax.start_byte)
        kind = (
            "AssignmentExpression" if isinstance(at, Assignment) else "NewExpression" if at.is_new else "CallExpression"
        )
        return Spot(rule, at.unit, syntax.start_byte, syntax.end_byte, kind, place, reason, confidence)

    def _literal_sinks(self) -> Iterator[Spot]:
        """Sinks that were given nothing but literals: they never became one."""
        models = self.flows.models
        for call in self.page.calls:
            path = f"new {call.path}" if call.is_new else call.path
            for sink in models.calls.find(path) if path else ():
                if sink.audit and call.arguments and not any(given(call.arguments, sink.arguments)):
                    yield self._spot(sink.audit, call, 0, "" if sink.audit == "no-eval" else CONSTANT)
        for assignment in self.page.assignments:
            for sink in models.assignments.find(assignment.path) if not assignment.value else ():
                if sink.audit:
                    yield self._spot(sink.audit, assignment, 0, CONSTANT)

    def _call(self, call: Call) -> Iterator[Spot]:
        name = call.name
        judge = _CALLS.get(name)
        if judge is not None:
            yield from judge(self, call)
        elif name.lower() == "insertadjacenthtml":
            yield self._spot("no-insertadjacenthtml", call, 0, HARMLESS)
        elif name and _BYPASS.search(f".{name}") and call.texts and call.texts[-1] != "":
            yield self._spot("framework-bypass", call)

    def _inserted(self, call: Call) -> Iterator[Spot]:
        if len(call.arguments) < 2:
            yield self._spot("no-insertadjacenthtml", call, 0, HARMLESS)

    def _opened(self, call: Call) -> Iterator[Spot]:
        if call.path in ("open", "location.assign") and not call.arguments:
            yield self._spot("no-open-redirect", call, 0, HARMLESS)

    def _appended(self, call: Call) -> Iterator[Spot]:
        if call.arguments:
            yield self._spot("no-appendchild", call, 0, self._harmless_node(call.arguments[0]))

    def _created(self, call: Call) -> Iterator[Spot]:
        if call.texts[:1] == ["script"] and self._receiver_text(call).startswith("document."):
            yield self._spot("no-inline-script-creation", call)

    def _posted(self, call: Call) -> Iterator[Spot]:
        own = self.flows.links.functions(call.callee)
        if len(call.texts) > 1 and call.texts[1] == "*" and not own:
            yield self._spot("postmessage-wildcard", call, 0, "" if self._window(call) else HARMLESS, "medium")

    def _configured(self, call: Call) -> Iterator[Spot]:
        given = call.syntax.named_children[-1].named_children
        switch = given[0].type if given else ""
        if call.path == "$sceProvider.enabled" and given and switch != "true":
            yield self._spot("framework-bypass", call, 0, "", "medium")
        elif (call.path == "$sanitizeProvider.enableSvg" and switch == "true") or (
            call.path.startswith("$compileProvider.") and given
        ):
            yield self._spot("angular-config", call, 0, "", "medium")

    def _written(self, call: Call) -> Iterator[Spot]:
        """`write` of something that is called a document: rules about paths know `document` alone."""
        if not call.arguments or call.path.startswith("document.") or "ocument" not in self._receiver_text(call):
            return
        constant = all(is_constant(self.page, value, self.flows.clean) for value in call.arguments)
        yield self._spot("no-document-write", call, 0, CONSTANT if constant else "")

    def _receiver_text(self, call: Call) -> str:
        callee = call.syntax.named_children[0]
        source = self.units[call.unit].tree.source
        return source[callee.start_byte : min(callee.end_byte, callee.start_byte + 80)].decode("utf-8", "replace")

    def _harmless_node(self, value: int) -> str:
        path = self.page.path.get(value, "")
        if (
            not value
            or path.startswith(_LOCAL_NODES)
            or path.endswith(
                (
                    "createElement()",
                    "createTextNode()",
                    "createElementNS()",
                    "createDocumentFragment()",
                    "cloneNode()",
                    "createComment()",
                    "createContextualFragment()",
                )
            )
        ):
            return HARMLESS
        variable = self.page.reads.get(value)
        if (
            variable is not None
            and variable.values
            and all(
                self.page.path.get(given, "").startswith(("element<", "document.create", "$()<"))
                for given in variable.values
            )
        ):
            return HARMLESS
        return ""

    def _window(self, call: Call) -> bool:
        """Tell whether a message goes to a window: a worker or a port has no origin to name."""
        return "orker" not in self._receiver_text(call) and "port" not in self._receiver_text(call).lower()

    def _stored(self, call: Call) -> Iterator[Spot]:
        path = self.page.path.get(call.receiver, "")
        cache = path in ("$cookies", "$cookieStore", "$templateCache", "$cacheFactory", "Cookies", "import:js-cookie")
        given = call.syntax.named_children[-1].named_children
        if len(given) < 2 or (path not in _STORAGE and not cache):
            return
        sensitive = self._sensitive(call.unit, given[1]) or (not cache and self._sensitive(call.unit, given[0]))
        yield self._spot("sensitive-storage", call, 0, "" if sensitive else HARMLESS, "medium")

    def _sensitive(self, unit: int, syntax: Any) -> bool:
        if syntax.type in ("number", "true", "false", "null"):
            return False
        source = self.units[unit].tree.source[syntax.start_byte : min(syntax.end_byte, syntax.start_byte + 200)]
        return _SENSITIVE.search(source.decode("utf-8", "replace")) is not None

    def _assignment(self, found: Assignment) -> Iterator[Spot]:
        path = found.path
        if path == "document.cookie" or (found.name == "cookie" and self._is_document(found)):
            yield self._spot("no-document-cookie-write", found)
            if self._sensitive(found.unit, found.syntax.named_children[-1]):
                yield self._spot("sensitive-storage", found, 0, "", "medium")
        elif path == "document.domain":
            yield self._spot("document-domain", found, 0, "", "medium")
        elif path.startswith(("localStorage.", "sessionStorage.")) and not found.is_jsx:
            value = found.syntax.named_children[-1]
            sensitive = _SENSITIVE.search(found.name) is not None or self._sensitive(found.unit, value)
            reason = "" if sensitive else HARMLESS
            yield self._spot("sensitive-storage", found, 0, reason, "medium")
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

    def _addresses(self) -> Iterator[Spot]:
        for unit, syntax, text in self.page.strings:
            rule = "no-insecure-http" if text.startswith("http://") and syntax.type == "string" else "insecure-url"
            plain = _NAMESPACE.match(text) or text.lower().startswith("ws://localhost") or len(text) < 9
            yield Spot(
                rule, unit, syntax.start_byte, syntax.end_byte, "Literal", syntax.start_byte, HARMLESS if plain else ""
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

    def _messages(self) -> Iterator[Spot]:
        for node, rule in self.flows.handed:
            if rule.origin != "message":
                continue
            function, at = node
            tree = self.units[at.unit].tree
            syntax = function.syntax
            if syntax is None or not function.parameters:
                continue
            text = tree.source[syntax.start_byte : min(syntax.end_byte, syntax.start_byte + 20_000)].decode(
                "utf-8", "replace"
            )
            used = ".data" in text or "data" in text.partition(")")[0]
            if used:
                yield self._spot("postmessage-origin", at, 0, HARMLESS if _ORIGIN_CHECK.search(text) else "", "medium")


_CALLS: Final[Mapping[str, Callable[[Audit, Call], Iterator[Spot]]]] = {
    "insertAdjacentHTML": Audit._inserted,
    "open": Audit._opened,
    "assign": Audit._opened,
    "appendChild": Audit._appended,
    "createElement": Audit._created,
    "postMessage": Audit._posted,
    "write": Audit._written,
    "writeln": Audit._written,
    **dict.fromkeys(("setItem", "put", "putObject", "set", "add"), Audit._stored),
    **dict.fromkeys(
        ("enabled", "enableSvg", "imgSrcSanitizationWhitelist", "aHrefSanitizationWhitelist"), Audit._configured
    ),
    **dict.fromkeys(("imgSrcSanitizationTrustedUrlList", "aHrefSanitizationTrustedUrlList"), Audit._configured),
}
"""Judges of calls by the name of the method."""
