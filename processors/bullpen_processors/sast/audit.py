"""Calls and assignments that deserve a look without a flow: what, where, or why there is nothing to report."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from bullpen_processors.sast.constants import is_constant
from bullpen_processors.sast.flows import Use, given
from bullpen_processors.sast.messages import Messages
from bullpen_processors.sast.scopes import Call
from bullpen_processors.sast.spots import CONSTANT, HARMLESS, NO_FLOW, Look, Spot
from bullpen_processors.sast.storage import Storage

_NAMESPACE: Final = re.compile(
    r"(?:https?|ftp)://(?:www\.)?(?:w3\.org|xml\.org|purl\.org|schema\.org|ns\.adobe\.com|schemas\.|json-schema\.org|xmlns\.|java\.sun\.com"
    r"|localhost|127\.|0\.0\.0\.0|\[::1\]|fb\.me|reactjs\.org|openoffice\.org|sodipodi|inkscape|www\.inkscape)",
    re.IGNORECASE,
)  # fmt: skip
_LOCAL_NODES: Final = ("element<", "$()<", "document.create")
_THEIR_TARGETS: Final = frozenset({"innerHTML", "outerHTML", "cookie", "name", "location", "href", "search", "hash"})
_THEIR_CALLS: Final = frozenset({"insertAdjacentHTML", "write", "eval", "open"})
_BYPASS: Final = re.compile(
    r"(?:^|\.)(?:bypassSecurityTrust\w+|trustAs\w*|execUnsafeLocalFunction|setInnerHTMLUnsafe|setOuterHTMLUnsafe|insertAdjacentHTMLUnsafe)$"
)


class Audit(Look):
    """Looks at what lowering recorded."""

    def spots(self) -> Iterator[Spot]:
        """Yield every spot."""
        for uses in self.flows.uses.values():
            for use in uses:
                if use.sink.audit:
                    yield self._use(use)
        for call in self.page.calls:
            yield from self._call(call)
        yield from self._literal_sinks()
        yield from self._addresses()
        yield from Storage(self.flows, self.units).spots()
        yield from Messages(self.flows, self.units).spots()
        yield from self._without_flow()

    def _without_flow(self) -> Iterator[Spot]:
        """Places that the original's taint rule looks at, as none: a flow that ends there is reported instead."""
        for uses in self.flows.uses.values():
            for use in uses:
                yield self.spot("taint-flow", use.at, use.value, NO_FLOW)
        for assignment in self.page.assignments:
            if assignment.name in _THEIR_TARGETS and not assignment.is_jsx:
                yield self.spot("taint-flow", assignment, 0, NO_FLOW)
        for call in self.page.calls:
            if call.name in _THEIR_CALLS:
                yield self.spot("taint-flow", call, 0, NO_FLOW)

    def _use(self, use: Use) -> Spot:
        constant = is_constant(self.page, use.used, self.flows.transfers.clean)
        constant = constant and use.sink.audit != "no-eval"  # even so it forbids a policy without unsafe-eval
        return self.spot(use.sink.audit, use.at, use.value, CONSTANT if constant else "")

    def _literal_sinks(self) -> Iterator[Spot]:
        """Sinks that were given nothing but literals: they never became one."""
        models = self.flows.models
        for call in self.page.calls:
            path = f"new {call.path}" if call.is_new else call.path
            for sink in models.calls.find(path) if path else ():
                if sink.audit and call.arguments and not any(given(call.arguments, sink.arguments)):
                    yield self.spot(sink.audit, call, 0, "" if sink.audit == "no-eval" else CONSTANT)
        for assignment in self.page.assignments:
            for sink in models.assignments.find(assignment.path) if not assignment.value else ():
                if sink.audit:
                    yield self.spot(sink.audit, assignment, 0, CONSTANT)

    def _call(self, call: Call) -> Iterator[Spot]:
        name = call.name
        judge = _CALLS.get(name)
        if judge is not None:
            yield from judge(self, call)
        elif name.lower() == "insertadjacenthtml":
            yield self.spot("no-insertadjacenthtml", call, 0, HARMLESS)
        elif name and _BYPASS.search(f".{name}") and call.texts and call.texts[-1] != "":
            yield self.spot("framework-bypass", call)

    def _inserted(self, call: Call) -> Iterator[Spot]:
        if len(call.arguments) < 2:
            yield self.spot("no-insertadjacenthtml", call, 0, HARMLESS)

    def _opened(self, call: Call) -> Iterator[Spot]:
        if call.path in ("open", "location.assign") and not call.arguments:
            yield self.spot("no-open-redirect", call, 0, HARMLESS)

    def _appended(self, call: Call) -> Iterator[Spot]:
        if call.arguments:
            yield self.spot("no-appendchild", call, 0, self._harmless_node(call.arguments[0]))

    def _created(self, call: Call) -> Iterator[Spot]:
        if call.texts[:1] == ["script"] and self.receiver_text(call).startswith("document."):
            yield self.spot("no-inline-script-creation", call)

    def _configured(self, call: Call) -> Iterator[Spot]:
        given = call.syntax.named_children[-1].named_children
        switch = given[0].type if given else ""
        if call.path == "$sceProvider.enabled" and given and switch != "true":
            yield self.spot("framework-bypass", call, 0, "", "medium")
        elif (call.path == "$sanitizeProvider.enableSvg" and switch == "true") or (
            call.path.startswith("$compileProvider.") and given
        ):
            yield self.spot("angular-config", call, 0, "", "medium")

    def _written(self, call: Call) -> Iterator[Spot]:
        """`write` of something that is called a document: rules about paths know `document` alone."""
        if not call.arguments or call.path.startswith("document.") or "ocument" not in self.receiver_text(call):
            return
        constant = all(is_constant(self.page, value, self.flows.transfers.clean) for value in call.arguments)
        yield self.spot("no-document-write", call, 0, CONSTANT if constant else "")

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

    def _addresses(self) -> Iterator[Spot]:
        for unit, syntax, text in self.page.strings:
            rule = "no-insecure-http" if text.startswith("http://") and syntax.type == "string" else "insecure-url"
            plain = _NAMESPACE.match(text) or text.lower().startswith("ws://localhost") or len(text) < 9
            yield Spot(
                rule, unit, syntax.start_byte, syntax.end_byte, "Literal", syntax.start_byte, HARMLESS if plain else ""
            )


_CALLS: Final[Mapping[str, Callable[[Audit, Call], Iterator[Spot]]]] = {
    "insertAdjacentHTML": Audit._inserted,
    "open": Audit._opened,
    "assign": Audit._opened,
    "appendChild": Audit._appended,
    "createElement": Audit._created,
    "write": Audit._written,
    "writeln": Audit._written,
    **dict.fromkeys(
        ("enabled", "enableSvg", "imgSrcSanitizationWhitelist", "aHrefSanitizationWhitelist"), Audit._configured
    ),
    **dict.fromkeys(("imgSrcSanitizationTrustedUrlList", "aHrefSanitizationTrustedUrlList"), Audit._configured),
}
"""Judges of calls by the name of the method."""
