"""Assignments to names, members and patterns."""

from __future__ import annotations

import tree_sitter

from bullpen_processors.sast.graph import AFTER_TEXT, COPY, ELEMENT, NOTHING, TEXT, Node
from bullpen_processors.sast.lower import names
from bullpen_processors.sast.lower.expressions import all_children
from bullpen_processors.sast.lower.names import member_path, read_name, write_member
from bullpen_processors.sast.lower.patterns import bind, clean_of
from bullpen_processors.sast.lower.state import Lowering, Step
from bullpen_processors.sast.lower.texts import literal_text
from bullpen_processors.sast.scopes import Assignment


def assignment(low: Lowering, node: tree_sitter.Node) -> None:
    """`a = b`, `a.b = c`, `[a, b] = c`."""
    left, right = low.field(node, "left"), low.field(node, "right")
    if left is None or right is None:
        all_children(low, node)
        return
    steps = _target_steps(low, left)
    low.plan(*steps, right, (_assign, node, left, len(steps) > 0, True))


def augmented(low: Lowering, node: tree_sitter.Node) -> None:
    """`a += b` and the like: the old value stays a part of it."""
    left, right = low.field(node, "left"), low.field(node, "right")
    if left is None or right is None:
        all_children(low, node)
        return
    steps = _target_steps(low, left)
    low.plan(*steps, right, (_assign, node, left, len(steps) > 0, False))


def _target_steps(low: Lowering, left: tree_sitter.Node) -> list[Step]:
    """Return what has to be read to know what is assigned to."""
    while left.type == "parenthesized_expression" and left.named_child_count == 1:
        left = left.named_children[0]
    if left.type in ("member_expression", "subscript_expression"):
        base = low.field(left, "object")
        return [base] if base is not None else []
    return []


def _assign(low: Lowering, node: tree_sitter.Node, left: tree_sitter.Node, has_base: bool, plain: bool) -> None:
    value = low.values.pop()
    base = low.values.pop() if has_base else NOTHING
    while left.type == "parenthesized_expression" and left.named_child_count == 1:
        left = left.named_children[0]
    if left.type in ("member_expression", "subscript_expression"):
        _assign_member(low, node, left, base, value, plain)
        low.values.append(value)
        return
    if left.type == "identifier":
        name = low.text(left)
        if not plain:
            value = _augment(low, node, left, value)
        right = low.field(node, "right")
        clean = plain and right is not None and clean_of(low, right) == name
        names.assign_name(low, name, left, value, node, whole=True, clean=clean)
    else:
        bind(low, left, value)
    low.values.append(value)


def _augment(low: Lowering, node: tree_sitter.Node, left: tree_sitter.Node, value: Node) -> Node:
    before = read_name(low, low.text(left), left)
    operator = low.field(node, "operator")
    kind = operator.type if operator is not None else ""
    if kind not in ("+=", "||=", "&&=", "??="):
        return NOTHING
    result = low.new(node)
    low.page.joins[result] = [before, value]
    low.graph.edge(before, result, COPY if kind != "+=" else TEXT)
    low.graph.edge(value, result, COPY if kind != "+=" else AFTER_TEXT)
    return result


def _assign_member(
    low: Lowering, node: tree_sitter.Node, left: tree_sitter.Node, base: Node, value: Node, plain: bool
) -> None:
    name = _key(low, left)
    path = member_path(low, base, name or ELEMENT)
    low.page.assignments.append(Assignment(node, left, low.unit, low.function, base, name, path, value, plain=plain))
    write_member(low, base, name, value)
    _bind_this(low, base, path, value)
    if low.page.path.get(base) == "":  # window.x = …
        variable = names.declare(low, name, low.page.globals)
        variable.values.append(value)
        low.graph.edge(value, variable.every)
    elif "?" not in path and value:
        low.graph.edge(value, low.page.places.setdefault(path, low.graph.node()))


def _key(low: Lowering, left: tree_sitter.Node) -> str:
    """Return the name that is assigned to; "" if it is computed."""
    if left.type == "member_expression":
        key = low.field(left, "property")
        return low.text(key) if key is not None else ""
    key = low.field(left, "index")
    return (literal_text(low, key) or "") if key is not None else ""


def _bind_this(low: Lowering, base: Node, path: str, value: Node) -> None:
    """A function stored in an object has it as `this`; methods of one prototype share it."""
    function = low.page.functions.get(value)
    if function is None or function.is_arrow or not base:
        return
    low.graph.edge(base, function.this)
    if ".prototype" in path:
        low.graph.edge(function.this, base)
