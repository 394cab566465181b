"""Sources, sinks and what lies between, laid over the graph; and the flows that it then has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bullpen_processors.sast.frameworks import lay_frameworks
from bullpen_processors.sast.graph import CODE, START, Node, Op
from bullpen_processors.sast.linking import Links
from bullpen_processors.sast.lower.state import Page
from bullpen_processors.sast.models import Callback, Models, Sink, Source
from bullpen_processors.sast.origins import ORIGINS, Origins
from bullpen_processors.sast.reach import Arrival, Search
from bullpen_processors.sast.scopes import Assignment, Call, Function
from bullpen_processors.sast.transfers import Transfers


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
        self.origins = Origins(page, models, self.links)
        self.transfers = Transfers(page, models, self.links)
        self.uses: dict[Node, list[Use]] = {}
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
        if path and self.transfers.sanitizes(call, path):
            return
        sinks = list(self.models.calls.find(path))
        for sink in sinks:
            if self._called(sink, call):
                for value in given(call.arguments, sink.arguments):
                    self._use(sink, call, value)
                    self._computed(sink, call, value)
        self.transfers.lay(call, path, is_sink=bool(sinks))

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

    def _use(self, sink: Sink, at: Call | Assignment, value: Node) -> None:
        if not value:
            return
        node = value
        for name in sink.field.split(".") if sink.field else ():
            following = self.graph.node()
            self.graph.edge(node, following, Op(load=name, inner=True))
            node = following
        self._reach(sink, at, value, node)

    def _reach(self, sink: Sink, at: Call | Assignment, value: Node, used: Node) -> None:
        """Let *value* be what people are shown, and *used* what does the harm."""
        end = self.graph.node()
        self.graph.edge(used, end)
        self.uses[end] = [Use(sink, at, value, used)]

    def _computed(self, sink: Sink, call: Call, value: Node) -> None:
        """`html(() => value)`: what the function gives is what is used; code runs the function instead."""
        for name in sink.field.split(".") if sink.field else ():
            value = self.page.literals.get(value, {}).get(name, 0)
        for function in self.links.functions(value) if value and not sink.needs & CODE else ():
            if isinstance(function, Function):
                self._reach(sink, call, value, function.result)

    def find(self) -> Iterator[Flow]:
        """Yield flows, those that attackers control most first; each sink once, and weak ones last."""
        self.reached = set()
        found: set[int] = set()
        weak: dict[int, Flow] = {}
        starts = self.origins.starts()
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


def _below(path: str) -> tuple[str, ...]:
    return (f"{path}.", f"{path}(", f"{path}<")


def _weak(sink: Sink) -> int:
    return START if sink.kind in ("open-redirect", "resource-url") else 0


def given(arguments: list[Node], wanted: tuple[int, ...]) -> list[Node]:
    """Return the arguments of a call that a rule is about."""
    if not wanted:
        return list(arguments)
    return [arguments[index] for index in wanted if -len(arguments) <= index < len(arguments)]
