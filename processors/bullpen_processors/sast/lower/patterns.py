"""Destructuring, and what a clean copy of a value is."""

from __future__ import annotations

from typing import Final

import tree_sitter

from bullpen_processors.sast.graph import NOTHING, Node
from bullpen_processors.sast.lower.names import (
    assign_name,
    declare,
    member_path,
    read_member,
    read_name,
    set_variable,
    write_member,
)
from bullpen_processors.sast.lower.state import Lowering
from bullpen_processors.sast.scopes import Assignment, Scope

_CLEANERS: Final = ("sanitize", "escapeHTML", "escapeHtml", "encodeURIComponent")


def clean_of(low: Lowering, node: tree_sitter.Node) -> str | None:
    """Return the text of what a sanitizer cleans: `x` of `DOMPurify.sanitize(x)`."""
    if node.type != "call_expression":
        return None
    callee, given = low.field(node, "function"), low.field(node, "arguments")
    if callee is None or given is None or not given.named_children:
        return None
    if low.text(callee).rpartition(".")[2] not in _CLEANERS or callee.type != "member_expression":
        return None
    return low.text(given.named_children[0])


def bind(low: Lowering, pattern: tree_sitter.Node, value: Node, scope: Scope | None = None) -> None:
    """Give each name of a pattern its part of *value*; declares in *scope*, assigns without one."""
    waiting = [(pattern, value)]
    while waiting:
        node, part = waiting.pop()
        kind = node.type
        if kind in ("identifier", "shorthand_property_identifier_pattern"):
            _set(low, node, part, scope)
        elif kind == "member_expression":
            _member(low, node, part)
        else:
            waiting += _inner(low, node, part)


def _inner(low: Lowering, node: tree_sitter.Node, part: Node) -> list[tuple[tree_sitter.Node, Node]]:
    """Return the patterns inside one, each with its part."""
    kind = node.type
    if kind == "object_pattern":
        return _object(low, node, part)
    if kind == "array_pattern":
        return _array(low, node, part)
    if kind in ("assignment_pattern", "object_assignment_pattern"):
        left = low.field(node, "left")
        return [] if left is None else [(left, _or_default(low, part, low.field(node, "right")))]
    if kind in ("rest_pattern", "required_parameter", "optional_parameter", "parenthesized_expression"):
        inner = low.field(node, "pattern") or next(iter(node.named_children), None)
        return [] if inner is None else [(inner, part)]
    return []


def _or_default(low: Lowering, part: Node, default: tree_sitter.Node | None) -> Node:
    """A default's own value is lowered where it stands; for a name that is enough of it."""
    if default is None or default.type != "identifier":
        return part
    return low.graph.join([part, read_name(low, low.text(default), default)])


def _set(low: Lowering, node: tree_sitter.Node, part: Node, scope: Scope | None) -> None:
    name = low.text(node)
    if scope is None:
        assign_name(low, name, node, part, node)
    else:
        set_variable(low, declare(low, name, scope), part)


def _member(low: Lowering, node: tree_sitter.Node, part: Node) -> None:
    """`[e.innerHTML] = list`: a part goes into a field."""
    base, key = node.named_children[0], node.named_children[-1]
    if base.type != "identifier" or node.type != "member_expression":
        return
    owner, name = read_name(low, low.text(base), base), low.text(key)
    path = member_path(low, owner, name)
    low.page.assignments.append(Assignment(node, node, low.unit, low.function, owner, name, path, part))
    write_member(low, owner, name, part)


def _object(low: Lowering, node: tree_sitter.Node, part: Node) -> list[tuple[tree_sitter.Node, Node]]:
    found = []
    for child in node.named_children:
        if child.type == "pair_pattern":
            key, inner = low.field(child, "key"), low.field(child, "value")
            if key is not None and inner is not None:
                name = low.text(key).strip("\"'")
                found.append((inner, _part(low, part, name if key.type != "computed_property_name" else "", child)))
        elif child.type == "shorthand_property_identifier_pattern":
            found.append((child, _part(low, part, low.text(child), child)))
        elif child.type == "object_assignment_pattern":
            left = low.field(child, "left")
            if left is not None:
                found.append((child, _part(low, part, low.text(left), child)))
        elif child.type == "rest_pattern":
            found.append((child, part))
    return found


def _array(low: Lowering, node: tree_sitter.Node, part: Node) -> list[tuple[tree_sitter.Node, Node]]:
    found, index = [], 0
    for child in node.children:
        if child.type == ",":
            index += 1
        elif child.is_named and child.type == "rest_pattern":
            found.append((child, part))
        elif child.is_named and child.type != "comment":
            found.append((child, _part(low, part, str(index), child)))
    return found


def _part(low: Lowering, whole: Node, name: str, node: tree_sitter.Node) -> Node:
    if not whole:
        return NOTHING
    if whole in low.page.elements and name.isdigit() and not any(low.page.elements[whole]):
        return NOTHING
    return read_member(low, whole, name, node)
