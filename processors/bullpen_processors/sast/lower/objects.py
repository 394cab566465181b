"""Lists and object literals."""

from __future__ import annotations

import tree_sitter

from bullpen_processors.sast.graph import ELEMENT, NOTHING, Node
from bullpen_processors.sast.lower.expressions import drop, leave, parts
from bullpen_processors.sast.lower.functions import function
from bullpen_processors.sast.lower.names import load, read_name, store
from bullpen_processors.sast.lower.state import Lowering, Step
from bullpen_processors.sast.lower.texts import literal_text, unquoted

_LONG_LIST = 2000


def array(low: Lowering, node: tree_sitter.Node) -> None:
    """A list: what it holds lies under its elements."""
    if node.child_count > _LONG_LIST:
        low.plan(*_worth_a_look(node), (_nothing_of, len(low.values)))
        return
    children = parts(node)
    if not children:
        low.values.append(NOTHING)
        return
    low.plan(*children, (_array, node, children))


def _worth_a_look(node: tree_sitter.Node) -> list[tree_sitter.Node]:
    """Return the elements of a long list that are no literals, without making an object of each."""
    cursor = node.walk()
    found = []
    if cursor.goto_first_child():
        while True:
            at = cursor.node
            if (
                at is not None
                and at.is_named
                and at.type not in ("number", "string", "comment", "true", "false", "null")
            ):
                found.append(at)
            if not cursor.goto_next_sibling():
                break
    return found


def _nothing_of(low: Lowering, count: int) -> None:
    del low.values[count:]
    low.values.append(NOTHING)


def _array(low: Lowering, node: tree_sitter.Node, children: list[tree_sitter.Node]) -> None:
    values = low.take(len(children))
    texts = [literal_text(low, child) for child in children] if len(children) <= 40 else []
    result = low.new(node)
    low.page.constants.add(result) if not any(values) else None
    if texts and all(text is not None for text in texts):
        low.page.lists[result] = [text for text in texts if text is not None]
    if any(values):
        for index, (child, value) in enumerate(zip(children, values, strict=True)):
            if child.type == "spread_element":
                low.graph.edge(value, result)
            else:
                low.graph.edge(value, result, store(str(index)))
    low.page.elements[result] = values
    low.values.append(result)


def object_(low: Lowering, node: tree_sitter.Node) -> None:
    """An object literal; `this` of its methods is the object."""
    children = parts(node)
    result = low.new(node)
    low.page.literals[result] = {}
    steps: list[Step] = []
    for child in children:
        steps += _property(low, child, result)
    low.plan(*steps, (leave, result))


def _property(low: Lowering, child: tree_sitter.Node, result: Node) -> list[Step]:
    kind = child.type
    if kind == "pair":
        key, value = low.field(child, "key"), low.field(child, "value")
        if key is None or value is None:
            return []
        name = key_text(low, key)
        steps: list[Step] = [value, (_put, result, name, child)]
        return [key, (drop, 1), *steps] if name == "" else steps
    if kind == "spread_element":
        return [child, (_spread_into, result)]
    if kind == "shorthand_property_identifier":
        return [child, (_put, result, low.text(child), child)]
    if kind == "method_definition":
        return [(_method, child, result)]
    return [child, (drop, 1)]


def key_text(low: Lowering, key: tree_sitter.Node) -> str:
    """Return a property's name; "" if it is computed."""
    if key.type == "computed_property_name":
        inner = parts(key)
        return (literal_text(low, inner[0]) or "") if inner else ""
    return unquoted(low.text(key)) if key.type == "string" else low.text(key)


def _method(low: Lowering, child: tree_sitter.Node, result: Node) -> None:
    key = low.field(child, "name")
    name = key_text(low, key) if key is not None else ""
    value = function(low, child, name=name, this=result)
    put(low, result, name, value)


def _put(low: Lowering, result: Node, name: str, _child: tree_sitter.Node) -> None:
    put(low, result, name, low.values.pop())


def put(low: Lowering, result: Node, name: str, value: Node) -> None:
    """Store a property of an object literal."""
    low.page.literals[result][name] = value
    if not value:
        return
    low.graph.edge(value, result, store(name or ELEMENT))
    function = low.page.functions.get(value)
    if function is not None or value in low.page.classes:
        low.page.members[name].append(value)
    if function is not None and not function.is_arrow and not function.owner:
        low.graph.edge(result, function.this)


def _spread_into(low: Lowering, result: Node) -> None:
    low.graph.edge(low.values.pop(), result)


def shorthand(low: Lowering, node: tree_sitter.Node) -> None:
    """`{a}`."""
    low.values.append(read_name(low, low.text(node), node))


def load_element(low: Lowering, value: Node, node: tree_sitter.Node) -> Node:
    """Return what iterating over a value gives."""
    if not value:
        return NOTHING
    result = low.new(node)
    low.graph.edge(value, result, load("*"))
    return result
