"""Reading, declaring and assigning names."""

from __future__ import annotations

from typing import Final

import tree_sitter

from bullpen_processors.sast.graph import ELEMENT, NOTHING, Node, Op
from bullpen_processors.sast.lower.state import LONGEST_PATH, Lowering
from bullpen_processors.sast.scopes import Assignment, Scope, Variable

ROOTS: Final = frozenset({"window", "self", "globalThis", "top", "parent", "frames"})
"""Names of the global object: `window.location` is `location`."""
_WINDOW: Final = frozenset({"location", "name", "onmessage", "status"})
"""Globals that are the window's own, whatever was assigned to them before."""
HARMLESS: Final = frozenset({"length", "size", "origin", "host", "hostname", "protocol", "port", "nodeType"})
"""Fields that carry nothing of what is written to their object."""
_LOADS: dict[str, Op] = {}
_STORES: dict[str, Op] = {}


def load(name: str) -> Op:
    """Return the edge that reads a field."""
    op = _LOADS.get(name)
    if op is None:
        op = _LOADS[name] = Op(load=name)
    return op


def store(name: str) -> Op:
    """Return the edge that writes a field."""
    op = _STORES.get(name)
    if op is None:
        op = _STORES[name] = Op(store=name)
    return op


def read(low: Lowering, node: tree_sitter.Node) -> None:
    """Leave the value of an identifier."""
    name = low.text(node)
    low.values.append(NOTHING if name == "undefined" else read_name(low, name, node))


def read_name(low: Lowering, name: str, node: tree_sitter.Node) -> Node:
    """Return the value of a name at this point."""
    page, variable = low.page, low.scope.find(name)
    value = low.graph.node()
    low.graph.where[value] = low.place | node.start_byte
    if variable is None and name == "arguments" and low.function.arguments:
        low.graph.edge(low.function.arguments, value)
        return value
    if variable is None:
        _unresolved(low, name, value)
        return value
    local = variable.owner is low.function and not low.loops
    start = variable.guard or (variable.now if local else variable.every)
    low.graph.edge(start, value)
    page.reads[value] = variable
    own = name == "location" and variable.owner is page.program  # whatever it is set to, it stays the address
    path = name if own else page.held.get(start)
    if path is None and len(variable.values) == 1 and not variable.is_parameter:
        path = page.path.get(variable.values[0])
    if path is not None:
        page.path[value] = path
    elif variable.is_parameter and name[0] == "$" and len(name) > 1:
        page.path[value] = name  # AngularJS injects by name
    elif variable.owner is page.program and not variable.values:
        page.path[value] = name
    return value


def _unresolved(low: Lowering, name: str, value: Node) -> None:
    """Remember a name that nothing declares so far: a function below may, or it is the window's."""
    page = low.page
    page.unresolved.append((low.scope, name, value, low.function is page.program and not low.loops))
    if name in ROOTS:
        page.path[value] = ""
    elif name in page.words:
        page.path[value] = name


def declare(low: Lowering, name: str, scope: Scope | None = None) -> Variable:
    """Make a variable of a scope, or find it: `var` may come twice."""
    scope = low.scope if scope is None else scope
    variable = scope.names.get(name)
    if variable is None:
        variable = scope.names[name] = Variable(name, scope.function, low.graph, low.depth)
    return variable


def function_scope(low: Lowering) -> Scope:
    """Return the scope in which `var` declares."""
    scope = low.scope
    while not scope.is_top and scope.outer is not None:
        scope = scope.outer
    return scope


def set_variable(low: Lowering, variable: Variable, value: Node, *, whole: bool = True, clean: bool = False) -> None:
    """Assign to a variable: *whole* replaces what it held."""
    graph = low.graph
    variable.values.append(value if whole else graph.node() if value else NOTHING)
    graph.edge(value, variable.every)
    variable.guard = 0
    if variable.owner is not low.function:
        if value:
            variable.foreign = variable.foreign or graph.node()
            graph.edge(value, variable.foreign)
        return
    if low.loops:
        variable.now = variable.every
        return
    certain = whole and (low.depth <= variable.depth or clean)
    version = graph.node()
    graph.edge(value, version)
    if not certain:
        graph.edge(variable.now, version)
    elif value:
        path = low.page.path.get(value)
        if path is not None:
            low.page.held[version] = path
    graph.edge(version, variable.every) if not value and not certain else None
    variable.now = version


def assign_name(
    low: Lowering,
    name: str,
    target: tree_sitter.Node,
    value: Node,
    syntax: tree_sitter.Node,
    *,
    whole: bool = True,
    clean: bool = False,
) -> None:
    """Assign to a name; one that nothing declares is a property of the window: `location = x`."""
    variable = low.scope.find(name)
    if variable is None or name in _WINDOW:
        path = name if variable is None or variable.owner is low.page.program else ""  # "": a variable of that name
        found = Assignment(syntax, target, low.unit, low.function, NOTHING, name, path, value, plain=whole)
        low.page.assignments.append(found)
    if variable is None:
        variable = low.page.globals.names[name] = Variable(name, low.page.program, low.graph)
        variable.at_top = low.function is low.page.program and not low.loops
    set_variable(low, variable, value, whole=whole, clean=clean)


def member_path(low: Lowering, base: Node, name: str) -> str:
    """Return the path of a member; of an unknown base it starts with `?`."""
    path = low.page.path.get(base)
    if path is None:
        return f"?.{name}"
    if not path:
        return "" if name in ROOTS else name
    if path == "document" and name in ("location", "defaultView"):
        return "location" if name == "location" else ""
    return f"{path}.{name}" if len(path) < LONGEST_PATH else f"?.{name}"


def read_member(low: Lowering, base: Node, name: str, node: tree_sitter.Node) -> Node:
    """Return what a field of *base* holds; name "" for one that is computed."""
    value = low.graph.node()
    page = low.page
    low.graph.where[value] = low.place | node.start_byte
    if base:
        if name not in HARMLESS:
            low.graph.edge(base, value, load(name or "*"))
        page.derived[value] = (base, name)
    path = member_path(low, base, name or ELEMENT)
    if path[:1] != "?" or name in page.words:
        page.path[value] = path
    return value


def write_member(low: Lowering, base: Node, name: str, value: Node) -> None:
    """Store into a field: everything that sees the object through the same variable sees it."""
    if not value or not base:
        return
    graph, page = low.graph, low.page
    if value in page.functions or value in page.classes:
        page.members[name].append(value)
    for _ in range(3):
        op = store(name or ELEMENT)
        graph.edge(value, base, op)
        if base in page.aliases:
            graph.edge(value, page.aliases[base], op)
        variable = page.reads.get(base)
        if variable is not None:
            graph.edge(value, variable.every, op)
            if variable.now != variable.every and variable.owner is low.function:
                graph.edge(value, variable.now, op)
            return
        if base not in page.derived:
            return
        value = base
        base, name = page.derived[base]
