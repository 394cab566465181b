"""AngularJS's dependency injection: services by the names of parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bullpen_processors.sast.lower.state import Page
from bullpen_processors.sast.resolving import Resolver
from bullpen_processors.sast.scopes import Call, Function

_REGISTER: Final = frozenset({"factory", "service", "provider", "constant", "value"})
_INJECT: Final = frozenset({*_REGISTER, "controller", "directive", "run", "config", "filter", "component"})


def inject(page: Page, resolver: Resolver) -> None:
    """AngularJS hands what `factory("name", f)` made to every function with a parameter of that name."""
    made: dict[str, list[int]] = {}
    wanted: list[Function] = []
    for call in page.calls:
        if call.name in _INJECT and call.arguments and call.receiver:
            for function in _injected(page, resolver, call):
                wanted.append(function)
                if call.name in _REGISTER and call.texts[0]:
                    made.setdefault(call.texts[0], []).extend(function.returns)
    for parameter in (parameter for function in wanted for parameter in function.parameters):
        values = made.get(page.names.get(parameter, ""), [])
        if values:
            page.joins[parameter] = values
        for value in values:
            page.graph.edge(value, parameter)


def _injected(page: Page, resolver: Resolver, call: Call) -> Iterator[Function]:
    """Yield the functions of a registration: the last argument, or the last element of it."""
    given = call.arguments[-1]
    listed = page.elements.get(given)
    for function in resolver.functions(listed[-1] if listed else given):
        if isinstance(function, Function):
            yield function
