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
from bullpen_processors.sast.scopes import Call, Class, Function

T = TypeVar("T")
DEPTH: Final = 6
"""Steps from a callee back to its function."""
NESTING: Final = 4
"""Calls within a callee that are followed: `f()()()`."""
WIDTH: Final = 8
"""Functions that a call may mean; more are no knowledge."""
SHORTEST_NAME: Final = 3
"""Of methods that are found by their name alone: shorter ones come from minifiers."""
_BUILT_IN: Final = frozenset({
    "replace", "replaceAll", "slice", "split", "substring", "substr", "trim", "match", "concat", "indexOf", "includes",
    "toString", "valueOf", "join", "push", "pop", "shift", "unshift", "splice", "sort", "reverse", "keys", "values",
    "entries", "forEach", "map", "filter", "find", "some", "every", "reduce", "then", "catch", "finally", "test",
    "exec", "get", "set", "has", "add", "delete", "clear", "apply", "call", "bind", "hasOwnProperty", "search",
    "charAt",
})  # fmt: skip
"""Methods of texts, lists, maps, promises and functions: an object's own one of that name is hardly ever meant."""
_EACH: Final = frozenset({"forEach", "map", "filter", "find", "findLast", "some", "every", "flatMap", "each"})
_RESULTS: Final = frozenset({"map", "flatMap", "then", "catch", "finally", "pipe", "useMemo", "useCallback"})
_GIVEN: Final = frozenset({"then", "subscribe", "tap", "done", "pipe"})
_CALLING_BACK: Final = _EACH | _RESULTS | _GIVEN | {"reduce", "replace"}
_ELEMENTS: Final = Op(load=ANY, far=True)
_WRAPPERS: Final = frozenset(
    {
        "useCallback",
        "debounce",
        "throttle",
        "memoize",
        "once",
        "partial",
        "curry",
        "memo",
        "forwardRef",
        "observer",
        "wrap",
        "bind",
    }
)


class Links:
    """The functions behind values."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.graph = page.graph
        self._instances: dict[Node, Class] = {made.this: made for made in page.classes.values()}
        self._imported: dict[Node, Node] = {}
        self.unknown: dict[Node, str] = {}
        """Names that nothing declares, in no script of the page."""
        self._nesting = 0
        self._known: dict[Node, tuple[Function | Class, ...]] = {}
        self._unknown: list[Call] = []
        """Calls of functions that are not known."""
        self._linked = Counter[str]()
        """How much of each list of the page was linked before."""

    def link(self) -> None:
        """Add every edge that crosses functions and scripts, for all that was lowered since the last time."""
        self._known.clear()
        self._instances = {made.this: made for made in self.page.classes.values()}
        self._names()
        self._modules()
        self._inherit()
        if not self._linked["calls"]:
            inject(self.page, self)
        self._known.clear()
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
                self._imported[value] = exported[name]

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

    def functions(self, value: Node) -> tuple[Function | Class, ...]:
        """Return what a value may be when it is called."""
        known: tuple[Function | Class, ...] | None = self._known.get(value)
        if known is not None:
            return known
        if self._nesting == NESTING:
            return ()
        self._known[value] = ()  # what depends on itself adds nothing
        self._nesting += 1
        known = self._known[value] = tuple(dict.fromkeys(self._search(value)))[:WIDTH]
        self._nesting -= 1
        return known

    def _search(self, value: Node) -> list[Function | Class]:
        page = self.page
        waiting, seen, found = [(value, 0)], {value}, list[Function | Class]()
        while waiting and len(seen) < 60:
            at, depth = waiting.pop()
            thing = page.functions.get(at) or page.classes.get(at)
            if thing is not None:
                found.append(thing)
                continue
            if depth < DEPTH:
                for following in self._behind(at):
                    if following and following not in seen:
                        seen.add(following)
                        waiting.append((following, depth + 1))
        return found

    def makers(self, value: Node) -> Iterator[Function]:
        """Yield the functions whose results a value was taken from: f of `f()`, of `f().g`, of `x = f(), x.g`."""
        page = self.page
        waiting, seen = [value], {value}
        while waiting and len(seen) < WIDTH:
            at = waiting.pop()
            call = page.results.get(at)
            if call is not None:
                yield from (made for made in self.functions(call.callee) if isinstance(made, Function))
                following = [call.callee]
            elif at in page.derived:
                following = [page.derived[at][0]]
            else:
                following = self._behind(at)
            waiting += (node for node in following if node and node not in seen)
            seen.update(following)

    def _behind(self, value: Node) -> list[Node]:
        page = self.page
        if value in page.reads:
            return page.reads[value].values[:WIDTH]
        if value in page.joins:
            return page.joins[value][:WIDTH]
        if value in page.derived:
            return self._member(*page.derived[value])
        if value in self._imported:
            return [self._imported[value]]
        call = page.results.get(value)
        return [] if call is None else self._returned(call)

    def _returned(self, call: Call) -> list[Node]:
        if call.name in _WRAPPERS:
            return [call.receiver, *call.arguments[:2]]
        made = (found for found in self.functions(call.callee) if isinstance(found, Function))
        return [node for function in made for node in function.returns][:WIDTH]

    def _member(self, base: Node, name: str) -> list[Node]:
        """Return what may be stored under a name of an object."""
        page = self.page
        for owner in self._objects(base):
            made = self._instances.get(owner)
            if made is not None and name in made.methods:
                return [made.methods[name].node]
            literal = page.literals.get(owner)
            if literal is not None and literal.get(name):
                return [literal[name]]
        found = page.members.get(name, ())
        if len(name) >= SHORTEST_NAME and len(found) == 1 and name not in _BUILT_IN:
            return list(found)
        return []

    def _objects(self, value: Node) -> list[Node]:
        """Return object literals and instances that a value may be."""
        page = self.page
        waiting, seen = [value], {value}
        found = []
        while waiting and len(seen) < 24:
            at = waiting.pop()
            if at in page.literals or at in self._instances:
                found.append(at)
                continue
            following = [page.aliases.get(at, 0)]
            if at in page.reads:
                following += page.reads[at].values[:WIDTH]
            call = page.results.get(at)
            if call is not None and call.is_new:
                following += [made.this for made in self.functions(call.callee) if isinstance(made, Class)]
            for node in following:
                if node and node not in seen:
                    seen.add(node)
                    waiting.append(node)
        return found

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
        elif found.parameters:
            self.graph.edge(properties, found.parameters[0], INTO)


def basename(path: str) -> str:
    """Return the name by which scripts of a page import each other: the last part of a URL, without `.js`."""
    return path.partition("?")[0].rpartition("/")[2].removesuffix(".js").removesuffix(".mjs").removesuffix(".ts")
