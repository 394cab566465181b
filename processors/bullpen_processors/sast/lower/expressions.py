"""Expressions: each leaves one value."""

from __future__ import annotations

import tree_sitter

from bullpen_processors.sast.graph import NOTHING, Node
from bullpen_processors.sast.lower.guards import enter_guard, leave_guard
from bullpen_processors.sast.lower.patterns import clean_of
from bullpen_processors.sast.lower.state import Lowering

_URL_STARTS = (b"http:", b"ftp:/", b"ws://", b"http%")


def leave(low: Lowering, value: Node) -> None:
    """Leave a value that is known already."""
    low.values.append(value)


def drop(low: Lowering, count: int) -> None:
    """Take values nobody needs."""
    del low.values[len(low.values) - count :]


def merge(low: Lowering, count: int) -> None:
    """Leave one value for several that may each be it."""
    values = low.take(count)
    joined = low.graph.join(values)
    if joined and len([value for value in values if value]) > 1:
        low.page.joins[joined] = values
    low.values.append(joined)


def parts(node: tree_sitter.Node) -> list[tree_sitter.Node]:
    """Return named children without comments."""
    return [child for child in node.named_children if child.type != "comment"]


def all_children(low: Lowering, node: tree_sitter.Node) -> None:
    """Visit everything below and leave nothing: statements, and syntax that no value comes out of."""
    children = node.named_children
    if children:
        low.plan(*children, (drop, len(children)), (leave, NOTHING))
    else:
        low.values.append(NOTHING)


def last_child(low: Lowering, node: tree_sitter.Node) -> None:
    """The value of the last part: parentheses, sequences, awaits, casts."""
    children = parts(node)
    if not children:
        low.values.append(NOTHING)
    elif len(children) == 1:
        low.stack.append(children[0])
    else:
        low.plan(*children[:-1], (drop, len(children) - 1), children[-1])


def first_child(low: Lowering, node: tree_sitter.Node) -> None:
    """The value of the first part: casts of TypeScript."""
    children = parts(node)
    if children:
        low.stack.append(children[0])
    else:
        low.values.append(NOTHING)


def string(low: Lowering, node: tree_sitter.Node) -> None:
    """A literal: nothing but a URL, perhaps."""
    start = node.start_byte + 1
    if low.tree.source[start : start + 5].lower() in _URL_STARTS:
        low.page.strings.append((low.unit, node, low.text(node)[1:-1]))
    low.values.append(NOTHING)


def regex(low: Lowering, node: tree_sitter.Node) -> None:
    """A pattern: its text decides whether it is a check or a sanitizer."""
    value = low.new(node)
    low.page.regexes[value] = low.text(node)
    low.page.constants.add(value)
    low.values.append(value)


def ternary(low: Lowering, node: tree_sitter.Node) -> None:
    """Either of two values."""
    condition, yes, no = (low.field(node, name) for name in ("condition", "consequence", "alternative"))
    if condition is None or yes is None or no is None:
        all_children(low, node)
        return
    low.plan(condition, (drop, 1), (enter_guard, condition, True), yes, (leave_guard,),
             (enter_guard, condition, False), no, (leave_guard,), (_either, yes, no))  # fmt: skip


def _either(low: Lowering, yes: tree_sitter.Node, no: tree_sitter.Node) -> None:
    clean = clean_of(low, yes) == low.text(no) or clean_of(low, no) == low.text(yes)
    if clean:  # whether to sanitize is a setting
        values = low.take(2)
        low.values.append(values[0] if clean_of(low, yes) else values[1])
        return
    merge(low, 2)
