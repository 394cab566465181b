"""What is behind a value: the functions and classes that it may be when it is called."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bullpen_processors.sast.graph import Node
from bullpen_processors.sast.lower.state import Page
from bullpen_processors.sast.scopes import Call, Class, Function

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


class Resolver:
    """Finds functions through variables, fields, imports and returns."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.imported: dict[Node, Node] = {}
        """Values that other scripts of the page export."""
        self._instances: dict[Node, Class] = {}
        self._nesting = 0
        self._known: dict[Node, tuple[Function | Class, ...]] = {}
        self.forget()

    def forget(self) -> None:
        """Look anew: more was lowered, or linked, since."""
        self._known.clear()
        self._instances = {made.this: made for made in self.page.classes.values()}

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
        if value in self.imported:
            return [self.imported[value]]
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
            if call is not None and call.name == "createPolicy":
                following += call.arguments[1:2]  # its methods are called as the policy's
            if call is not None and call.is_new:
                following += [made.this for made in self.functions(call.callee) if isinstance(made, Class)]
            for node in following:
                if node and node not in seen:
                    seen.add(node)
                    waiting.append(node)
        return found
