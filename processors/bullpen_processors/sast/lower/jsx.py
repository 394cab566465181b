"""Elements in JSX: attributes are properties of the component or of the element."""

from __future__ import annotations

import re
from typing import Final

import tree_sitter

from bullpen_processors.sast.graph import NOTHING, Node
from bullpen_processors.sast.lower.expressions import drop, leave
from bullpen_processors.sast.lower.names import read_name, store
from bullpen_processors.sast.lower.state import Lowering, Step
from bullpen_processors.sast.scopes import Assignment
from bullpen_processors.sast.units import is_script

_TYPE: Final = re.compile(r"""\btype\s{0,20}=\s{0,20}\{?\s{0,20}["']([^"']{0,100})["']""")


def element(low: Lowering, node: tree_sitter.Node) -> None:
    """`<Tag a={b}>…</Tag>`."""
    tag_node = low.field(node, "open_tag") or node
    name = low.field(tag_node, "name")
    tag = low.text(name) if name is not None else ""
    properties = low.new(node)
    steps: list[Step] = []
    for child in tag_node.named_children:
        if child.type == "jsx_attribute":
            steps += _attribute(low, child, tag, properties)
        elif child.type == "jsx_expression":
            steps += [child, (_spread, properties)]
    type_ = _TYPE.search(low.text(tag_node)) if tag == "script" else None
    runs = type_ is None or is_script(type_[1])
    for child in node.named_children if tag_node is not node else ():
        if child.type in ("jsx_expression", "jsx_element", "jsx_self_closing_element"):
            steps += [child, (_child, child, tag if runs else "", properties)]
    low.plan(*steps, (_component, name, tag, properties))


def _attribute(low: Lowering, child: tree_sitter.Node, tag: str, properties: Node) -> list[Step]:
    parts = child.named_children
    if not parts:
        return []
    name = low.text(parts[0])
    if len(parts) == 1:
        return []
    return [parts[-1], (_set, child, name, tag, properties)]


def _set(low: Lowering, child: tree_sitter.Node, name: str, tag: str, properties: Node) -> None:
    value = low.values.pop()
    low.graph.edge(value, properties, store(name))
    if value in low.page.functions:
        low.page.members[name].append(value)
    path = f"jsx<{tag}>.{name}"
    found = Assignment(child, child, low.unit, low.function, properties, name, path, value, is_jsx=True, tag=tag)
    low.page.assignments.append(found)


def _spread(low: Lowering, properties: Node) -> None:
    low.graph.edge(low.values.pop(), properties)


def _child(low: Lowering, child: tree_sitter.Node, tag: str, properties: Node) -> None:
    value = low.values.pop()
    low.graph.edge(value, properties, store("children"))
    if child.type == "jsx_expression" and value:
        found = Assignment(
            child,
            child,
            low.unit,
            low.function,
            properties,
            "children",
            f"jsx<{tag}>.children",
            value,
            is_jsx=True,
            tag=tag,
        )
        low.page.assignments.append(found)


def _component(low: Lowering, name: tree_sitter.Node | None, tag: str, properties: Node) -> None:
    if name is not None and tag[:1].isupper() and name.type == "identifier":
        component = read_name(low, tag, name)
        low.page.jsx.append((component, tag, properties, low.unit))
    low.values.append(NOTHING if not tag else properties)


def expression(low: Lowering, node: tree_sitter.Node) -> None:
    """`{value}`."""
    children = [child for child in node.named_children if child.type != "comment"]
    if children:
        low.plan(*children[:-1], (drop, len(children) - 1), children[-1])
    else:
        low.plan((leave, NOTHING))
