"""Values that are made of literals: nobody writes them."""

from __future__ import annotations

from bullpen_processors.sast.graph import Node
from bullpen_processors.sast.lower.state import Page


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
