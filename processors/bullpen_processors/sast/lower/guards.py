"""Conditions that say something about a value: behind them, it is safe or at least was looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import tree_sitter

from bullpen_processors.sast.graph import ALL, GUARD, PREFIX, SCHEME, Op
from bullpen_processors.sast.lower.state import Lowering
from bullpen_processors.sast.scopes import Variable

TRUSTED: Final = Op(keep=0)
SAME_HOST: Final = Op(keep=ALL & ~PREFIX & ~SCHEME)
SAFE_SCHEME: Final = Op(keep=ALL & ~SCHEME)
_HOST: Final = re.compile(r"(?:https?:)?//[^/\\?#]+[/?#]", re.IGNORECASE)
_MEMBERSHIP: Final = frozenset({"includes", "has", "hasOwnProperty", "contains", "inArray"})
_INDEX: Final = ("indexOf", "inArray", "search")
_EQUAL: Final = {"===": True, "==": True, "!==": False, "!=": False}


def enter_guard(low: Lowering, condition: tree_sitter.Node, holds: bool) -> None:
    """From here on *condition* holds, or does not."""
    saved: list[tuple[Variable, int]] = []
    for name, op in _checks(low, condition, holds):
        variable = low.scope.find(name)
        if variable is None:
            continue
        saved.append((variable, variable.guard))
        local = variable.owner is low.function and not low.loops
        start = variable.guard or (variable.now if local else variable.every)
        variable.guard = low.graph.node()
        low.graph.edge(start, variable.guard, op)
    low.guards.append(saved)


def leave_guard(low: Lowering) -> None:
    """What the condition said is no longer known."""
    for variable, before in reversed(low.guards.pop()):
        variable.guard = before


def _checks(low: Lowering, condition: tree_sitter.Node, holds: bool) -> Iterator[tuple[str, Op]]:
    """Yield name and meaning of each check in a condition."""
    waiting = [(condition, holds)]
    budget = 200
    while waiting and budget:
        budget -= 1
        node, wanted = waiting.pop()
        kind = node.type
        if kind == "parenthesized_expression":
            waiting += [(child, wanted) for child in node.named_children]
        elif kind == "unary_expression" and node.children[0].type == "!":
            waiting.append((node.children[-1], not wanted))
        elif kind == "binary_expression":
            operator = node.children[1].type if node.child_count > 1 else ""
            if (operator == "&&" and wanted) or (operator == "||" and not wanted):
                waiting += [(child, wanted) for child in node.named_children]
            else:
                yield from _comparison(low, node, operator, wanted)
        elif kind == "call_expression" and wanted:
            yield from _call(low, node)


def _comparison(low: Lowering, node: tree_sitter.Node, operator: str, wanted: bool) -> Iterator[tuple[str, Op]]:
    left, right = node.named_children[0], node.named_children[-1]
    if operator == "in" and wanted:
        yield from _about(low, left, TRUSTED)
    elif operator in _EQUAL and _EQUAL[operator] is wanted:
        for side, other in ((left, right), (right, left)):
            if (
                other.type in ("string", "number", "template_string", "member_expression")
                or side.type == "member_expression"
            ):
                yield from _about(low, side, TRUSTED, only_origin=other.type not in ("string", "number"))
            if side.type == "unary_expression" and low.text(side).startswith("typeof") and "number" in low.text(other):
                yield from _about(low, side.named_children[-1], TRUSTED)
    elif (index := _index_of(low, left, right, operator, wanted)) is not None:
        yield from _call(low, index)


def _index_of(
    low: Lowering, left: tree_sitter.Node, right: tree_sitter.Node, operator: str, wanted: bool
) -> tree_sitter.Node | None:
    """Read `list.indexOf(x) !== -1`, `>= 0`, `> -1`, and their opposites."""
    if left.type != "call_expression" or not low.text(left).partition("(")[0].endswith(_INDEX):
        return None
    said = f"{operator}{low.text(right)}"
    found = said in ("!==-1", "!=-1", ">=0", ">-1")
    missing = said in ("===-1", "==-1", "<0")
    return left if (found and wanted) or (missing and not wanted) else None


def _call(low: Lowering, node: tree_sitter.Node) -> Iterator[tuple[str, Op]]:
    callee, given = low.field(node, "function"), low.field(node, "arguments")
    if callee is None or given is None or callee.type != "member_expression" or not given.named_children:
        return
    receiver, key = callee.named_children[0], callee.named_children[-1]
    name, arguments = low.text(key), given.named_children
    first = arguments[-1] if name == "inArray" else arguments[0]
    if name in _MEMBERSHIP or name in _INDEX:
        if first.type not in ("string", "template_string"):
            yield from _about(low, first, TRUSTED)
    elif name == "startsWith":
        yield from _starts(low, receiver, _literal_head(low, first))
    elif name in ("test", "exec") and receiver.type in ("regex", "identifier"):
        yield from _about(low, first, _pattern(low.text(receiver)))
    elif name == "match" and first.type == "regex":
        yield from _about(low, receiver, _pattern(low.text(first)))


def _starts(low: Lowering, node: tree_sitter.Node, head: str) -> Iterator[tuple[str, Op]]:
    """A beginning with a host decides where a URL leads; one with a scheme, that it runs no script."""
    if _HOST.match(head):
        yield from _about(low, node, SAME_HOST)
    elif head.lower().startswith(("http:", "https:", "/", "#", "?")):
        yield from _about(low, node, SAFE_SCHEME)


def _literal_head(low: Lowering, node: tree_sitter.Node) -> str:
    """Return how a text begins."""
    while node.type == "binary_expression":
        node = node.named_children[0]
    return low.text(node)[1:-1] if node.type in ("string", "template_string") else ""


def _pattern(text: str) -> Op:
    """Judge a regular expression that a value passed: anchored at both ends and without wild cards, it decides."""
    body = text[1:].rpartition("/")[0]
    anchored = body.startswith("^") and body.endswith("$")
    if anchored and not re.search(r"(?<!\\)\.(?:\*|\+)|\[\^|\\[SWD]", body) and not re.search(r"[<>]", body):
        return TRUSTED
    return GUARD


def _about(low: Lowering, node: tree_sitter.Node, op: Op, *, only_origin: bool = False) -> Iterator[tuple[str, Op]]:
    """Name the variable that a check is about: `x`, or `e` for `e.origin`."""
    if node.type == "identifier" and not only_origin:
        yield low.text(node), op
    elif node.type == "member_expression":
        base, key = node.named_children[0], node.named_children[-1]
        if base.type == "identifier" and low.text(key) in ("origin", "source"):
            yield low.text(base), op
