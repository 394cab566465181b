"""Functions and classes."""

from __future__ import annotations

from itertools import pairwise

import tree_sitter

from bullpen_processors.sast.graph import NOTHING, Node
from bullpen_processors.sast.lower.names import declare, set_variable
from bullpen_processors.sast.lower.patterns import bind
from bullpen_processors.sast.lower.state import Lowering, Postponed, Step
from bullpen_processors.sast.scopes import Class, Function, Scope

_HOISTED = ("function_declaration", "generator_function_declaration")


KINDS = frozenset({"function_expression", "arrow_function", "generator_function"})
"""Of functions that are values."""


def function(
    low: Lowering,
    node: tree_sitter.Node,
    name: str = "",
    this: Node = NOTHING,
    owner: Class | None = None,
    *,
    outer: bool = False,
) -> Node:
    """Make a function's value and plan its body, or put that off."""
    graph = low.graph
    made = Function(low.new(node), this or graph.node(), graph.node(), low.unit, name, owner=owner, syntax=node)
    made.is_arrow = node.type == "arrow_function"
    made.is_outer = outer
    if made.is_arrow:
        made.this, made.arguments = low.function.this, low.function.arguments
    else:
        made.arguments = graph.node()
    low.page.functions[made.node] = made
    body, scope = low.field(node, "body"), Scope(low.scope, made, is_top=True)
    state = (low.scope, low.function, low.loops, low.depth)
    low.scope, low.function, low.loops, low.depth = scope, made, 0, 0
    defaults = _parameters(low, node, made)
    steps: list[Step] = []
    for default, parameter in defaults:
        steps += [default, (_default, parameter)]
    if body is not None:
        expression = body.type != "statement_block"
        steps += [body, (_returns if expression else _done,)]
        if not outer and low.may_wait(body):
            low.page.postponed.append(Postponed(low, made, scope, steps, node.start_byte, body.end_byte))
            _restore(low, *state)
            return made.node
    low.plan(*steps, (_restore, *state))
    return made.node


def _parameters(low: Lowering, node: tree_sitter.Node, made: Function) -> list[tuple[tree_sitter.Node, Node]]:
    single = low.field(node, "parameter")
    listed = low.field(node, "parameters")
    patterns = [single] if single is not None else listed.named_children if listed is not None else []
    defaults: list[tuple[tree_sitter.Node, Node]] = []
    for pattern in patterns:
        if pattern.type in ("comment", "this"):
            continue
        value = low.new(pattern)
        made.parameters.append(value)
        if pattern.type == "rest_pattern" or (
            pattern.named_children and pattern.named_children[0].type == "rest_pattern"
        ):
            made.rest = len(made.parameters) - 1
        default = low.field(pattern, "right") or low.field(pattern, "value")
        if default is not None:
            defaults.append((default, value))
        if pattern.type == "identifier":
            low.page.names[value] = low.text(pattern)
        bind(low, pattern, value, low.scope)
    for variable in low.scope.names.values():
        variable.is_parameter = True
    _request(low, made)
    return defaults


def _request(low: Lowering, made: Function) -> None:
    """`(req, res)` and `(ctx, next)` are how handlers of servers call what they are handed."""
    names = [low.page.names.get(parameter, "") for parameter in made.parameters[:3]]
    for first, second in pairwise(names):
        path = _REQUESTS.get((first, second))
        variable = low.scope.names.get(first)
        if path is not None and variable is not None:
            low.page.held[variable.every] = low.page.held[variable.now] = path
            answer = low.scope.names[second]
            low.page.held[answer.every] = low.page.held[answer.now] = "res"


_REQUESTS = {
    **{(first, second): "req" for first in ("req", "request") for second in ("res", "response", "reply")},
    ("ctx", "next"): "ctx",
}


def _default(low: Lowering, parameter: Node) -> None:
    low.graph.edge(low.values.pop(), parameter)


def _returns(low: Lowering) -> None:
    returned(low, low.values.pop())


def returned(low: Lowering, value: Node) -> None:
    """Let a value be what the function returns."""
    low.graph.edge(value, low.function.result)
    if value:
        low.function.returns.append(value)


def _done(low: Lowering) -> None:
    low.values.pop()


def _restore(low: Lowering, scope: Scope, outer: Function, loops: int, depth: int) -> None:
    low.scope, low.function, low.loops, low.depth = scope, outer, loops, depth


def expression(low: Lowering, node: tree_sitter.Node) -> None:
    """A function as a value."""
    name = low.field(node, "name")
    low.values.append(function(low, node, low.text(name) if name is not None else ""))


def outermost(low: Lowering, node: tree_sitter.Node) -> None:
    """A function that wraps a script: called, or handed to what is called, where it stands."""
    low.values.append(function(low, node, outer=True))


def declaration(low: Lowering, node: tree_sitter.Node) -> None:
    """A function with a name in its block."""
    name = low.field(node, "name")
    if name is None:
        expression(low, node)
        return
    variable = declare(low, low.text(name))
    low.values.append(NOTHING)
    set_variable(low, variable, function(low, node, variable.name))


def hoist(low: Lowering, children: list[tree_sitter.Node]) -> None:
    """Declare the functions of a block before anything in it is read."""
    for child in children:
        if child.type in _HOISTED:
            name = low.field(child, "name")
            if name is not None:
                declare(low, low.text(name))


def class_(low: Lowering, node: tree_sitter.Node) -> None:
    """A class as a value or a declaration; its instances share one `this`."""
    name, body = low.field(node, "name"), low.field(node, "body")
    made = Class(low.new(node), low.graph.node(), low.text(name) if name is not None else "")
    low.page.classes[made.node] = made
    if name is not None:
        set_variable(low, declare(low, made.name), made.node)
    steps: list[Step] = []
    for child in node.named_children:
        if child.type == "class_heritage":
            steps += [child, (_base, made)]
        elif child.type == "decorator":
            steps += [child, (_done,)]
    for child in body.named_children if body is not None else ():
        steps.append((_part, child, made))
    low.plan(*steps, (_leave, made.node))


def _leave(low: Lowering, value: Node) -> None:
    low.values.append(value)


def _base(low: Lowering, made: Class) -> None:
    made.base = low.values.pop()


def _part(low: Lowering, child: tree_sitter.Node, made: Class) -> None:
    kind = child.type
    name_node = low.field(child, "name") or low.field(child, "property")
    name = low.text(name_node) if name_node is not None else ""
    if kind == "method_definition":
        value = function(low, child, name, this=made.this, owner=made)
        made.methods[name] = low.page.functions[value]
        low.page.members[name].append(value)
        from bullpen_processors.sast.lower.names import store  # noqa: PLC0415

        low.graph.edge(value, made.this, store(name or "[]"))
        if low.tree.source[child.start_byte : child.start_byte + 4] == b"get ":
            low.graph.edge(low.page.functions[value].result, made.this, store(name))
    elif kind in ("field_definition", "public_field_definition"):
        given = low.field(child, "value")
        if given is not None:
            outer = low.function
            low.function = Function(NOTHING, made.this, NOTHING, low.unit, owner=made)
            low.plan(given, (_field, name, made, outer))
    else:
        low.plan(child, (_done,))


def _field(low: Lowering, name: str, made: Class, outer: Function) -> None:
    from bullpen_processors.sast.lower.names import store  # noqa: PLC0415

    value = low.values.pop()
    low.function = outer
    low.graph.edge(value, made.this, store(name or "[]"))
    if value in low.page.functions:
        made.methods[name] = low.page.functions[value]
        low.page.members[name].append(value)
