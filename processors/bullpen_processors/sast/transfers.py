"""What calls make of the values that they are given: copies, pieces, texts, or nothing that could do harm."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from bullpen_processors.sast.graph import ANY, FLAT, LATER, PIECE, PREFIX, SCHEME, START, TEXT, TRIMMED, Node, Op
from bullpen_processors.sast.linking import Links
from bullpen_processors.sast.lower.names import store
from bullpen_processors.sast.lower.state import Page
from bullpen_processors.sast.models import Models, Propagator
from bullpen_processors.sast.scopes import Call, Function

_DEAF: Final = frozenset({
    "indexOf", "lastIndexOf", "includes", "startsWith", "endsWith", "test", "search", "charCodeAt", "codePointAt",
    "localeCompare", "push", "unshift", "addEventListener", "removeEventListener", "forEach", "has", "some",
    "every", "find", "findIndex", "hasOwnProperty", "length", "getTime", "getElementById", "querySelector",
    "setItem", "querySelectorAll", "appendChild", "createElement", "getAttribute", "setAttribute", "then", "keys",
    "is", "isEqual", "getBoundingClientRect", "focus", "on", "off", "each", "map", "filter", "reduce", "call",
    "apply", "bind", "emit", "toFixed", "getContext", "log", "set", "delete", "add", "remove", "subscribe",
    "assign", "reload", "open", "equals", "isValid", "count", "size", "postMessage", "preventDefault",
    "stopPropagation", "closest", "text", "hasAttribute",
})  # fmt: skip
"""Methods whose result holds nothing of their object that could do harm, or that have rules of their own."""
_PIECES: Final = frozenset(
    {
        "substring",
        "substr",
        "slice",
        "split",
        "match",
        "replace",
        "replaceAll",
        "exec",
        "get",
        "getAll",
        "matchAll",
        "pop",
        "at",
    }
)
_CLEAN_TAGS: Final = frozenset({"escapeHTML", "html", "safeHtml", "css", "svg"})
"""Tags of templates that escape what is put in."""
_CLEANING: Final = re.compile(
    r"escape|encod|sanit|clean|purif|valid|check|safe|strip|hash|md5|sha\d|num|int|^(?:is|has|can)[A-Z_]", re.IGNORECASE
)
"""Names of functions whose result is hardly what they were given."""
_THROUGH: Final = Op(whole=True, guarded=True)
_HOW: Final = {
    "copy": Op(),
    "text": TEXT,
    "piece": PIECE,
    "trim": TRIMMED,
    "flat": FLAT,
    "element": Op(load=ANY),
    "stored": store("[]"),
}


_FIRST: Final = Op(store="0", whole=True)
_LATER: Final = Op(store=LATER, cut=True, whole=True)
"""`split`: the first piece is the beginning of the text, the others are from its middle."""


class Transfers:
    """Edges from what a call is given to what it gives."""

    def __init__(self, page: Page, models: Models, links: Links) -> None:
        self.page = page
        self.graph = page.graph
        self.models = models
        self.links = links
        self.clean: set[Node] = set()
        """Results of sanitizers."""

    def lay(self, call: Call, path: str, *, is_sink: bool) -> None:
        """Add the edges of a call; what is no rule's is a method of its receiver, or unknown."""
        known = list(self.models.propagators.find(path))
        for propagator in known:
            self._propagate(call, propagator)
        if known:
            return
        self._method(call)
        if not is_sink:
            self._unknown(call)

    def sanitizes(self, call: Call, path: str) -> bool:
        """Tell whether a call makes its input safe, and add what it leaves."""
        sanitizer = next(self.models.sanitizers.find(path), None)
        tagged = call.tagged and call.name in _CLEAN_TAGS
        if sanitizer is not None:
            self._propagate(call, sanitizer)
        elif not tagged:
            return False
        self.clean.add(call.result)
        return True

    def _method(self, call: Call) -> None:
        """An unknown method of a tainted text gives text."""
        if call.receiver and call.name not in _DEAF and not call.is_new:
            self.graph.edge(call.receiver, call.result, PIECE if call.name in _PIECES else TEXT)

    def _unknown(self, call: Call) -> None:
        """A function of no script of the page: what it gives may hold what it was given."""
        name = self.links.unknown.get(call.callee)
        if name and not call.is_new and not _CLEANING.search(name):
            for argument in call.arguments:
                self.graph.edge(argument, call.result, _THROUGH)

    def _propagate(self, call: Call, rule: Propagator) -> None:
        if call.name == "split":
            self.graph.edge(call.receiver, call.result, _FIRST)
            self.graph.edge(call.receiver, call.result, _LATER)
            return
        op = self._operation(call, rule)
        for value in _inputs(call, rule):
            for output in self._outputs(call, rule):
                self.graph.edge(value, output, op)

    def _operation(self, call: Call, rule: Propagator) -> Op:
        op = _HOW[rule.how]._replace(keep=rule.keep)
        if call.name == "join" and self.page.elements.get(call.receiver, (1,))[:1] == [0]:
            return op._replace(keep=rule.keep & ~PREFIX & ~SCHEME & ~START)  # a literal stands before the rest
        if call.name == "replace" and len(call.texts) > 1 and "$" in (call.texts[1] or ""):
            return op._replace(cut=self._cuts_head(call.arguments[0]))
        return op

    def _cuts_head(self, pattern: Node) -> bool:
        """Tell whether a pattern may take away how a text begins; one that is not known may."""
        variable = self.page.reads.get(pattern)
        known = [
            self.page.regexes.get(value, "") for value in (variable.values if variable is not None else (pattern,))
        ]
        return any(not text or text.startswith(("/^", "/.", "/(.", "/[^", "/(?")) for text in known)

    def _outputs(self, call: Call, rule: Propagator) -> list[Node]:
        if rule.output == "callback":
            functions = (found for argument in call.arguments for found in self.links.functions(argument))
            return [made.parameters[0] for made in functions if isinstance(made, Function) and made.parameters]
        if rule.output == "result":
            return [call.result]
        variable = self.page.reads.get(call.receiver)
        return [call.receiver] if variable is None else [call.receiver, variable.every, variable.now]


def _inputs(call: Call, rule: Propagator) -> Iterator[Node]:
    for name in rule.inputs:
        if name in ("receiver", "callee"):
            yield call.receiver if name == "receiver" else call.callee
        elif name == "arguments":
            yield from call.arguments
        elif int(name) < len(call.arguments):
            yield call.arguments[int(name)]
