"""Joins what was lowered script by script: calls with functions, imports with exports, globals with their readers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Final, TypeVar

from bullpen_processors.sast.graph import ANY, INTO, Node, Op
from bullpen_processors.sast.injection import inject
from bullpen_processors.sast.lower.names import store
from bullpen_processors.sast.lower.state import Page
from bullpen_processors.sast.resolving import Resolver
from bullpen_processors.sast.scopes import Call, Class, Function

T = TypeVar("T")
_EACH: Final = frozenset({"forEach", "map", "filter", "find", "findLast", "some", "every", "flatMap", "each"})
_RESULTS: Final = frozenset({"map", "flatMap", "then", "catch", "finally", "pipe", "useMemo", "useCallback"})
_GIVEN: Final = frozenset({"then", "subscribe", "tap", "done", "pipe"})
_CALLING_BACK: Final = _EACH | _RESULTS | _GIVEN | {"reduce", "replace"}
_ELEMENTS: Final = Op(load=ANY, far=True)


class Links:
    """The edges between functions and between scripts."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.graph = page.graph
        self.resolver = Resolver(page)
        self.functions = self.resolver.functions
        self.unknown: dict[Node, str] = {}
        """Names that nothing declares, in no script of the page."""
        self._unknown: list[Call] = []
        """Calls of functions that are not known."""
        self._linked = Counter[str]()
        """How much of each list of the page was linked before."""

    def link(self) -> None:
        """Add every edge that crosses functions and scripts, for all that was lowered since the last time."""
        self.resolver.forget()
        self._names()
        self._modules()
        self._inherit()
        if not self._linked["calls"]:
            inject(self.page, self.resolver)
        self.resolver.forget()
        known = [call for call in self._unknown if self.functions(call.callee)]  # since more was lowered
        self._unknown = [call for call in self._unknown if not self.functions(call.callee)]
        for call in (*known, *self._new("calls", self.page.calls)):
            self._call(call)
        for component, _, properties, _ in self._new("jsx", self.page.jsx):
            for found in self.functions(component):
                self._component(found, properties)
        self._places()

    def _new(self, name: str, every: Collection[T]) -> Iterator[T]:
        """Yield what came since the last time."""
        done, self._linked[name] = self._linked[name], len(every)
        return islice(every, done, None)

    def _names(self) -> None:
        page = self.page
        for value, variable in self._new("reads", page.reads.items()):
            if variable.foreign:
                self.graph.edge(variable.foreign, value)
        for scope, name, value, at_top in self._new("unresolved", page.unresolved):
            found = scope.find(name)
            if found is None or (not found.values and found.owner is page.program):
                self.unknown[value] = name
                continue
            if at_top and found.at_top:
                continue  # read before its first assignment
            self.graph.edge(found.every, value)
            page.reads[value] = found
            path = page.path.pop(value, None)
            if found.owner is page.program and path is not None and name in ("name", "location", "status"):
                page.path[value] = path  # the window's own property, whatever else is written to it

    def _modules(self) -> None:
        page = self.page
        for module, name, value, _ in self._new("imports", page.imports):
            exported = page.exports.get(basename(module))
            if exported is None:
                continue
            page.path.pop(value, None)
            if name == "*":
                for key, target in exported.items():
                    self.graph.edge(target, value, store(key))
                    page.literals.setdefault(value, {})[key] = target
            elif name in exported:
                self.graph.edge(exported[name], value)
                self.resolver.imported[value] = exported[name]

    def _inherit(self) -> None:
        for made in self._new("classes", self.page.classes.values()):
            for base in self.functions(made.base) if made.base else ():
                if isinstance(base, Class):
                    self.graph.edge(base.this, made.this)
                    self.graph.edge(made.this, base.this)
                    for name, method in base.methods.items():
                        made.methods.setdefault(name, method)

    def _places(self) -> None:
        names = self.page.globals.names
        for value, path in self.page.path.items():
            if path in names and value in self.page.derived:
                self.graph.edge(names[path].every, value)
        places = self.page.places
        for value, path in self.page.path.items() if places else ():
            if path in places:
                self.graph.edge(places[path], value)

    def _call(self, call: Call) -> None:
        called = self.functions(call.callee)
        if not called:
            self._uncalled(call)
        for found in called:
            if isinstance(found, Class):
                self._construct(call, found)
            else:
                self._into(call, found, call.arguments)
        if call.name in ("call", "apply") and call.receiver:
            self._applied(call)
        if call.name in _CALLING_BACK:
            self._callbacks(call)

    def _uncalled(self, call: Call) -> None:
        self._unknown.append(call)
        if call.callee in self.page.results:
            self.graph.edge(call.callee, call.result)  # f(a)(b): what f was given may be in what it gives

    def _into(self, call: Call, function: Function, arguments: list[Node]) -> None:
        edge, bound = self.graph.edge, self._bound(call)
        spread = call.spread + len(bound) if call.spread >= 0 else len(bound) + len(arguments)
        for index, argument in enumerate([*bound, *arguments]):
            if index >= spread:
                for parameter in function.parameters[index:]:
                    edge(argument, parameter, _ELEMENTS)
            elif argument:
                self._argument(argument, function, index)
        edge(function.result, call.result, INTO)
        if call.receiver and not function.is_arrow and function.owner is None:
            edge(call.receiver, function.this, INTO)

    def _argument(self, argument: Node, function: Function, index: int) -> None:
        if 0 <= function.rest <= index:
            self.graph.edge(
                argument, function.parameters[function.rest], Op(store=str(index - function.rest), far=True)
            )
        elif index < len(function.parameters):
            self.graph.edge(argument, function.parameters[index], INTO)
        if not function.is_arrow:
            self.graph.edge(argument, function.arguments, Op(store=str(index), far=True))

    def _bound(self, call: Call) -> list[Node]:
        """Return arguments that `bind` gave before."""
        variable = self.page.reads.get(call.callee)
        for value in variable.values if variable is not None else ():
            made = self.page.results.get(value)
            if made is not None and made.name == "bind":
                return made.arguments[1:]
        return []

    def _construct(self, call: Call, made: Class) -> None:
        constructor = made.methods.get("constructor")
        if constructor is not None:
            self._into(call, constructor, call.arguments)
        if made.base and call.arguments:
            self.graph.edge(call.arguments[0], made.this, store("props"))
        self.graph.edge(made.this, call.result)

    def _applied(self, call: Call) -> None:
        """`f.call(this, a)` and `f.apply(this, list)`."""
        given = call.arguments[1:]
        for function in self.functions(call.receiver):
            if not isinstance(function, Function):
                continue
            if call.name == "call":
                self._into(call, function, given)
                continue
            for parameter in function.parameters if given else ():
                self.graph.edge(given[0], parameter, _ELEMENTS)
            self.graph.edge(function.result, call.result, INTO)

    def _callbacks(self, call: Call) -> None:
        """Elements and results that a method hands to a function."""
        for argument in call.arguments:
            for found in self.functions(argument) if argument else ():
                if isinstance(found, Function):
                    self._called_back(call, found)

    def _called_back(self, call: Call, found: Function) -> None:
        edge, name = self.graph.edge, call.name
        position = 1 if name in ("reduce", "each") else 0
        if len(found.parameters) > position:
            if name in _EACH or name == "reduce":
                edge(call.receiver, found.parameters[position], _ELEMENTS)
            elif name in _GIVEN:
                edge(call.receiver, found.parameters[0], INTO)
            elif name == "replace":
                edge(call.receiver, found.parameters[0], Op(cut=True, whole=True, far=True))
        if name in ("map", "flatMap"):
            edge(found.result, call.result, Op(store="0", far=True))
        elif name in _RESULTS or name in ("reduce", "replace"):
            edge(found.result, call.result, INTO)

    def _component(self, found: Function | Class, properties: Node) -> None:
        if isinstance(found, Class):
            self.graph.edge(properties, found.this, store("props"))
            found = found.methods.get("constructor", found)
        if isinstance(found, Function) and found.parameters:
            self.graph.edge(properties, found.parameters[0], INTO)


def basename(path: str) -> str:
    """Return the name by which scripts of a page import each other: the last part of a URL, without `.js`."""
    return path.partition("?")[0].rpartition("/")[2].removesuffix(".js").removesuffix(".mjs").removesuffix(".ts")
