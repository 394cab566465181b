"""Texts that are put together: what stands before a value decides what it can do."""

from __future__ import annotations

import tree_sitter

from bullpen_processors.sast.graph import AFTER_SCHEME, AFTER_TEXT, NOTHING, TEXT, Node
from bullpen_processors.sast.lower.expressions import drop, merge, parts
from bullpen_processors.sast.lower.state import Lowering

_URL_STARTS = (b"http:", b"ftp:/", b"ws://", b"http%")
_LONGEST_HEAD = 300
"""Characters before the first value of a text that are looked at: enough for a scheme and a host."""


def literal_text(low: Lowering, node: tree_sitter.Node) -> str | None:
    """Return the text of a literal; concatenated literals are one."""
    kind = node.type
    if kind == "string":
        return unquoted(low.text(node))
    if kind == "number":
        return low.text(node)
    if kind == "template_string" and not any(c.type == "template_substitution" for c in node.named_children):
        return low.text(node)[1:-1]
    if kind == "parenthesized_expression" and node.named_child_count == 1:
        return literal_text(low, node.named_children[0])
    if kind == "binary_expression" and node.end_byte - node.start_byte < 200:
        return _joined_text(low, node)
    return None


def _joined_text(low: Lowering, node: tree_sitter.Node) -> str | None:
    sides = parts(node)
    operator = low.field(node, "operator")
    if len(sides) != 2 or operator is None or operator.type != "+":
        return None
    left, right = (unquoted(low.text(side)) if side.type in ("string", "template_string") else None for side in sides)
    return left + right if left is not None and right is not None else None


def unquoted(text: str) -> str:
    """Return what a string literal stands for; rare escapes stay as they are."""
    text = text[1:-1]
    if "\\" not in text:
        return text
    return text.replace("\\'", "'").replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")


def template(low: Lowering, node: tree_sitter.Node) -> None:
    """A template: its parts become one text."""
    steps: list[tree_sitter.Node] = []
    before = 0
    head = ""
    for child in node.named_children:
        if child.type == "template_substitution":
            inner = parts(child)
            if inner:
                steps.append(inner[-1])
                if not before:
                    head = low.tree.source[node.start_byte + 1 : child.start_byte].decode("utf-8", "replace")
                    before = 1
    if not steps:
        source = low.tree.source[node.start_byte + 1 : node.start_byte + 6].lower()
        if source in _URL_STARTS:
            low.page.strings.append((low.unit, node, low.text(node)[1:-1]))
        low.values.append(NOTHING)
        return
    if (
        any(piece in head.lower() for piece in ("http:", "ftp:"))
        or b" http://" in low.tree.source[node.start_byte : node.end_byte]
    ):
        low.page.strings.append((low.unit, node, low.text(node)[1:-1]))
    low.plan(*steps, (_template, node, len(steps), head))


def _template(low: Lowering, node: tree_sitter.Node, count: int, head: str) -> None:
    values = low.take(count)
    low.values.append(_text_of(low, node, values, head))


def _text_of(low: Lowering, node: tree_sitter.Node, values: list[Node], head: str) -> Node:
    if not any(values):
        return NOTHING
    result = low.new(node)
    low.page.joins[result] = values
    for index, value in enumerate(values):
        op = AFTER_TEXT
        if decides_nothing(head) and (index == 0 or not values[0]):
            op = AFTER_SCHEME if head.strip() else TEXT
        low.graph.edge(value, result, op)
    return result


def decides_nothing(head: str) -> bool:
    """Tell whether a text before a value leaves open where a URL leads: `` , `//`, `https://foo`."""
    text = head.strip().lower()
    if not text:
        return True
    if text.startswith(("/\\", "//")):
        rest = text[2:]
    elif "://" in text:
        rest = text.split("://", 1)[1]
    else:
        return text in ("/", "http:", "https:", "http:/", "https:/", "javascript:", "data:") and text != "/"
    return not any(mark in rest for mark in "/?#")


def binary(low: Lowering, node: tree_sitter.Node) -> None:
    """`a + b`, however long the chain, is one text; `a || b` is either; comparisons are nothing."""
    operands: list[tree_sitter.Node] = []
    operator = _operator(low, node)
    if operator == "+":
        at: tree_sitter.Node | None = node
        while at is not None and at.type == "binary_expression" and _operator(low, at) == "+":
            right, left = low.field(at, "right"), low.field(at, "left")
            if right is None or left is None:
                break
            operands.append(right)
            at = left
        if at is not None:
            operands.append(at)
        operands.reverse()
        low.plan(*operands, (_sum, node, operands))
        return
    sides = parts(node)
    if operator in ("||", "??"):
        low.plan(*sides, (merge, len(sides)))
    elif operator == "&&":
        low.plan(*sides, (_and, len(sides)))
    else:
        low.plan(*sides, (_compared, node, len(sides)))


def _compared(low: Lowering, node: tree_sitter.Node, count: int) -> None:
    drop(low, count)
    low.values.append(NOTHING)
    source = low.tree.source[node.start_byte : node.end_byte] if node.end_byte - node.start_byte < 300 else b""
    if b"script" in source or b"data" in source:
        for child in node.named_children:
            if child.type == "string":
                scheme(low, node, low.text(child)[1:-1])


def scheme(low: Lowering, node: tree_sitter.Node, text: str) -> None:
    """Remember a comparison with the name of a scheme."""
    name = text.strip().lower().removesuffix(":")
    if name in ("javascript", "data", "vbscript"):
        low.page.scheme_texts.append((low.unit, node, name, low.function))


def _and(low: Lowering, count: int) -> None:
    values = low.take(count)
    low.values.append(values[-1] if values else NOTHING)


def _operator(low: Lowering, node: tree_sitter.Node) -> str:
    operator = low.field(node, "operator")
    return operator.type if operator is not None else ""


def _sum(low: Lowering, node: tree_sitter.Node, operands: list[tree_sitter.Node]) -> None:
    values = low.take(len(operands))
    if not any(values):
        low.values.append(NOTHING)
        return
    result = low.new(node)
    low.page.joins[result] = values
    head, decided_ = "", False
    for operand, value in zip(operands, values, strict=True):
        if not value:
            if not decided_:
                head = (head + (literal_text(low, operand) or ""))[:_LONGEST_HEAD]
            continue
        op = AFTER_TEXT
        if not decided_ and decides_nothing(head):
            op = AFTER_SCHEME if head.strip() else TEXT
        low.graph.edge(value, result, op)
        decided_ = True
    source = low.tree.source[node.start_byte : node.end_byte] if len(operands) < 200 else b""
    if b'="' in source or b"='" in source:
        low.page.sums[result] = (low.unit, list(zip(operands, values, strict=True)))
    low.values.append(result)
