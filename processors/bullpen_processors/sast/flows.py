"""Sources, sinks and what lies between, laid over the graph; and the flows that it then has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from bullpen_processors.sast.frameworks import lay_frameworks
from bullpen_processors.sast.graph import (
    ANY,
    CODE,
    FLAT,
    LATER,
    PIECE,
    PREFIX,
    SCHEME,
    START,
    TEXT,
    TRIMMED,
    Node,
    Op,
)
from bullpen_processors.sast.linking import Links
from bullpen_processors.sast.lower.names import store
from bullpen_processors.sast.lower.state import Page
from bullpen_processors.sast.models import Callback, Models, Propagator, Sink, Source
from bullpen_processors.sast.reach import Arrival, Search
from bullpen_processors.sast.scopes import Assignment, Call, Function

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
ORIGINS: Final = ("url", "name", "referrer", "message", "network", "storage", "cookie", "dom")
"""In the order of what an attacker controls most."""


@dataclass(frozen=True, slots=True)
class Use:
    """A sink in the page."""

    sink: Sink
    at: Call | Assignment
    value: Node
    """As people see it."""
    used: Node
    """What does the harm: of a function, what it gives."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A source that reaches a sink."""

    source: Source | Callback
    start: Node
    use: Use
    arrival: Arrival


class Flows:
    """The flows of a page."""

    def __init__(self, page: Page, models: Models) -> None:
        self.page = page
        self.models = models
        self.graph = page.graph
        self.links = Links(page)
        self.uses: dict[Node, list[Use]] = {}
        self.clean: set[Node] = set()
        """Results of sanitizers."""
        self.handed: list[tuple[tuple[Function, Call | Assignment], Callback]] = []
        """Functions that are handed what somebody else writes."""
        self.cut = False
        self.reached: set[Node] = set()
        """Where the values of sources came in the last search."""
        self._calls = self._assignments = 0

    def lay(self) -> None:
        """Add what the rules know to the graph, for all that was lowered since the last time."""
        calls, assignments = self.page.calls[self._calls :], self.page.assignments[self._assignments :]
        self._calls, self._assignments = len(self.page.calls), len(self.page.assignments)
        self.links.link()
        lay_frameworks(self.page, self.links, calls, assignments)
        for call in calls:
            self._call(call)
        for assignment in assignments:
            for sink in self.models.assignments.find(assignment.path):
                if self._fits(sink, assignment):
                    self._use(sink, assignment, assignment.value)

    def _call(self, call: Call) -> None:
        path = f"new {call.path}" if call.is_new else call.path
        if path and self._sanitizes(call, path):
            return
        known = list(self.models.propagators.find(path))
        for propagator in known:
            self._propagate(call, propagator)
        sinks = list(self.models.calls.find(path))
        for sink in sinks:
            if self._called(sink, call):
                for value in given(call.arguments, sink.arguments):
                    self._use(sink, call, value)
                    self._computed(sink, call, value)
        if not known:
            self._method(call)
            if not sinks:
                self._unknown(call)

    def _sanitizes(self, call: Call, path: str) -> bool:
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

    def _called(self, sink: Sink, call: Call) -> bool:
        if sink.most and len(call.arguments) > sink.most:
            return False
        if sink.names:
            position = 1 if call.path.endswith("NS") else 0
            name = call.texts[position] if len(call.texts) > position else None
            if name is None or name.lower() not in sink.names:
                return False
        return self._receives(sink, call.receiver)

    def _fits(self, sink: Sink, assignment: Assignment) -> bool:
        if sink.tags:
            path = self.page.path.get(assignment.receiver, "")
            tag = assignment.tag.lower() if assignment.is_jsx else path.partition("<")[2].partition(">")[0]
            if tag not in sink.tags:
                return False
        return self._receives(sink, assignment.receiver)

    def _receives(self, sink: Sink, receiver: Node) -> bool:
        if not sink.receivers:
            return True
        path = self.page.path.get(receiver, "")
        return any(
            self._is_jquery(receiver, path) if wanted == "$" else path == wanted or path.startswith(_below(wanted))
            for wanted in sink.receivers
        )

    def _is_jquery(self, receiver: Node, path: str) -> bool:
        variable = self.page.reads.get(receiver)
        named = variable is not None and variable.name.startswith("$")
        return named or path.startswith(("$", "jQuery(", "angular.element(")) or "$()" in path

    def _use(self, sink: Sink, at: Call | Assignment, value: Node, used: Node = 0) -> None:
        """Let *value* be what people are shown, and *used* (the same, by default) what does the harm."""
        if not value:
            return
        node = used or value
        for name in sink.field.split(".") if sink.field else ("",):
            following = self.graph.node()
            self.graph.edge(node, following, Op(load=name, inner=True) if name else Op())
            node = following
        self.uses[node] = [Use(sink, at, value, used or value)]

    def _computed(self, sink: Sink, call: Call, value: Node) -> None:
        """`html(() => value)`: what the function gives is what is used; code runs the function instead."""
        for function in self.links.functions(value) if value and not sink.needs & CODE else ():
            if isinstance(function, Function):
                self._use(sink, call, value, function.result)

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

    def find(self) -> Iterator[Flow]:
        """Yield flows, those that attackers control most first; each sink once, and weak ones last."""
        self.reached, self.handed = set(), []
        found: set[int] = set()
        weak: dict[int, Flow] = {}
        starts = self._starts()
        for origin in ORIGINS:
            for flow in self._reached(starts.get(origin, {})):
                key = id(flow.use)
                if flow.arrival.bits & flow.use.sink.needs:
                    if key not in found:
                        found.add(key)
                        yield flow
                elif flow.arrival.bits & _weak(flow.use.sink):
                    weak.setdefault(key, flow)
        for key, flow in weak.items():
            if key not in found:
                yield replace(flow, arrival=replace(flow.arrival, guarded=True))

    def _reached(self, rules: dict[Node, Source | Callback]) -> Iterator[Flow]:
        if not rules:
            return
        search = Search(self.graph)
        for arrival in search.run(((node, rule.gives) for node, rule in rules.items()), self.uses.__contains__):
            start = arrival.nodes[0]
            for use in self.uses[arrival.nodes[-1]]:
                yield Flow(rules[start], start, use, arrival)
        self.cut |= search.cut
        self.reached |= search.reached

    def _starts(self) -> dict[str, dict[Node, Source | Callback]]:
        starts: dict[str, dict[Node, Source | Callback]] = {}
        find, by_name = self.models.sources.find, self.models.sources._by_name
        reads, globals_ = self.page.reads, self.page.globals.names
        for value, path in self.page.path.items():
            if value in reads and path not in globals_:
                continue  # what its variable was given is the source
            if path.rpartition(".")[2] in by_name or path.startswith(("localStorage.", "sessionStorage.")):
                for source in find(path):
                    starts.setdefault(source.origin, {})[value] = source
        for node, callback in self._callbacks():
            starts.setdefault(callback.origin, {})[node] = callback
        return starts

    def _callbacks(self) -> Iterator[tuple[Node, Callback]]:
        for call in self.page.calls:
            for rule in self.models.callbacks.find(call.path):
                if rule.argument < len(call.arguments) and (
                    not rule.first or (call.texts and call.texts[0] in rule.first)
                ):
                    yield from self._handed(call, call.arguments[rule.argument], rule)
        for assignment in self.page.assignments:
            for rule in self.models.handlers.find(assignment.path):
                yield from self._handed(assignment, assignment.value, rule)

    def _handed(self, at: Call | Assignment, handler: Node, rule: Callback) -> Iterator[tuple[Node, Callback]]:
        for function in self.links.functions(handler):
            if isinstance(function, Function) and rule.parameter < len(function.parameters):
                self.handed.append(((function, at), rule))
                node = self.graph.node()
                self.graph.where[node] = self.graph.where[function.parameters[rule.parameter]]
                self.graph.edge(node, function.parameters[rule.parameter], store(rule.field) if rule.field else Op())
                yield node, rule


def _below(path: str) -> tuple[str, ...]:
    return (f"{path}.", f"{path}(", f"{path}<")


def _weak(sink: Sink) -> int:
    return START if sink.kind in ("open-redirect", "resource-url") else 0


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


def _inputs(call: Call, rule: Propagator) -> Iterator[Node]:
    for name in rule.inputs:
        if name == "receiver":
            yield call.receiver
        elif name == "arguments":
            yield from call.arguments
        elif int(name) < len(call.arguments):
            yield call.arguments[int(name)]


def given(arguments: list[Node], wanted: tuple[int, ...]) -> list[Node]:
    """Return the arguments of a call that a rule is about."""
    if not wanted:
        return list(arguments)
    return [arguments[index] for index in wanted if -len(arguments) <= index < len(arguments)]


def is_constant(page: Page, value: Node, clean: set[Node]) -> bool:
    """Tell whether a value is made of literals and of what sanitizers returned."""
    waiting, seen = [value], {value}
    while waiting:
        at = waiting.pop()
        if not at or at in clean or at in page.constants or at in page.functions:
            continue
        if len(seen) > 64:
            return False
        following = _made_of(page, at)
        if following is None:
            return False
        for node in following:
            if node not in seen:
                seen.add(node)
                waiting.append(node)
    return True


def _made_of(page: Page, value: Node) -> list[Node] | None:
    """Return the values of which one is made; None when that is not known."""
    if value in page.literals:
        return list(page.literals[value].values())
    variable = page.reads.get(value)
    if value in page.joins or variable is None:
        return page.joins.get(value)
    return None if variable.is_parameter else variable.values
