"""Reading fields of objects."""

from __future__ import annotations

import tree_sitter

from bullpen_processors.sast.graph import ELEMENT
from bullpen_processors.sast.lower.expressions import all_children
from bullpen_processors.sast.lower.names import member_path, read_member
from bullpen_processors.sast.lower.state import Lowering
from bullpen_processors.sast.lower.texts import literal_text


def this(low: Lowering, node: tree_sitter.Node) -> None:
    """`this` is one value per class, object literal or function."""
    function = low.function
    value = low.new(node)
    low.graph.edge(function.this, value)
    low.page.aliases[value] = function.this
    if function is low.page.program or function.node == 0:
        low.page.path[value] = ""
    low.values.append(value)


def member(low: Lowering, node: tree_sitter.Node) -> None:
    """`a.b`."""
    base, key = low.field(node, "object"), low.field(node, "property")
    if base is None or key is None:
        all_children(low, node)
        return
    low.plan(base, (_member, node, low.text(key)))


def _member(low: Lowering, node: tree_sitter.Node, name: str) -> None:
    low.values.append(read_member(low, low.values.pop(), name, node))


def subscript(low: Lowering, node: tree_sitter.Node) -> None:
    """`a[b]`: a literal key names a field."""
    base, key = low.field(node, "object"), low.field(node, "index")
    if base is None or key is None:
        all_children(low, node)
        return
    name = literal_text(low, key)
    if name is not None:
        low.plan(base, (_member, node, name))
    else:
        low.plan(base, key, (_subscript, node))


def _subscript(low: Lowering, node: tree_sitter.Node) -> None:
    base, _ = low.take(2)
    value = read_member(low, base, "", node)
    if low.page.path.get(base):
        low.page.path[value] = member_path(low, base, ELEMENT)
    low.values.append(value)
