"""Which of the functions that were put off are needed: those that a value of a source reaches. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

from bullpen_processors.sast.flows import Flows
from bullpen_processors.sast.graph import Node
from bullpen_processors.sast.lower.state import Postponed
from bullpen_processors.sast.scopes import Function, Scope

_NAME: Final = re.compile(rb"[\w$]+")


def wanted_by(flows: Flows) -> set[Postponed]:
    """Return the functions that a value of the last search may pass through.

    They are handed it, called on it, speak of a variable around them that holds it, or made what is called with it.
    """
    postponed, reached = flows.page.postponed, flows.reached
    if not postponed:
        return set()
    closures, makers = _Closures(reached), _makers(flows)
    return {
        waiting
        for waiting in postponed
        if waiting.function in makers or _is_handed(waiting, reached) or closures.reach(waiting)
    }


def _makers(flows: Flows) -> set[Function]:
    reached, links = flows.reached, flows.links
    handed = (call for call in flows.page.calls if not reached.isdisjoint(call.arguments))
    unknown = (call.callee for call in handed if not links.functions(call.callee))
    return {made for callee in unknown for made in links.resolver.makers(callee)}


def _is_handed(waiting: Postponed, reached: Collection[Node]) -> bool:
    function = waiting.function
    entries = (*function.parameters, function.arguments, function.this)
    return any(node in reached for node in entries if node)


class _Closures:
    """Variables that hold a value, by scope."""

    def __init__(self, reached: Collection[Node]) -> None:
        self._reached = reached
        self._known: dict[int, frozenset[bytes]] = {}

    def reach(self, waiting: Postponed) -> bool:
        """Tell whether a function speaks of one."""
        names = frozenset().union(*self._around(waiting.scope.outer))
        return bool(names) and not names.isdisjoint(_NAME.findall(waiting.text))

    def _around(self, scope: Scope | None) -> Iterator[frozenset[bytes]]:
        while scope is not None:
            known = self._known.get(id(scope))
            if known is None:
                holding = (name for name, variable in scope.names.items() if variable.every in self._reached)
                known = self._known[id(scope)] = frozenset(name.encode() for name in holding)
            if known:
                yield known
            scope = scope.outer
