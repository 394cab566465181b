"""Calls: what is called, with what, and where its result goes is settled when all functions are known."""

from __future__ import annotations

import re
from typing import Final

import tree_sitter

from bullpen_processors.sast.graph import NOTHING
from bullpen_processors.sast.lower.expressions import parts
from bullpen_processors.sast.lower.functions import KINDS, outermost
from bullpen_processors.sast.lower.names import read_member
from bullpen_processors.sast.lower.state import LONGEST_PATH, Lowering, Step
from bullpen_processors.sast.lower.texts import literal_text
from bullpen_processors.sast.scopes import Call

_TAG: Final = re.compile(r"<\s*([a-zA-Z][\w-]*)")


def call(low: Lowering, node: tree_sitter.Node) -> None:
    """`f(a)`, `o.m(a)`, ``f`a` ``."""
    callee, given = low.field(node, "function"), low.field(node, "arguments")
    if callee is None or given is None:
        low.values.append(NOTHING)
        return
    _plan(low, node, callee, given, new=False)


def new(low: Lowering, node: tree_sitter.Node) -> None:
    """`new F(a)`."""
    callee, given = low.field(node, "constructor"), low.field(node, "arguments")
    if callee is None:
        low.values.append(NOTHING)
        return
    _plan(low, node, callee, given, new=True)


def _plan(
    low: Lowering, node: tree_sitter.Node, callee: tree_sitter.Node, given: tree_sitter.Node | None, *, new: bool
) -> None:
    while callee.type in ("parenthesized_expression", "non_null_expression") and callee.named_child_count == 1:
        callee = callee.named_children[0]
    if callee.type == "sequence_expression":  # (0, o.m)(a)
        callee = callee.named_children[-1]
    tagged = given is not None and given.type == "template_string"
    arguments = [] if given is None or tagged else parts(given)
    steps: list[Step] = []
    base = low.field(callee, "object") if callee.type in ("member_expression", "subscript_expression") else None
    if base is not None:
        steps.append(_wrapping(low, base))
        steps.append((_method, callee))
    elif callee.type in ("import", "super"):
        steps += [(_nothing,), (_nothing,)]
    else:
        steps += [(_nothing,), _wrapping(low, callee)]
    if tagged and given is not None:
        steps += [given, (_forget,)]
    wraps = low.function is low.page.program or callee.type in KINDS
    steps += [_wrapping(low, argument) for argument in arguments] if wraps else arguments
    low.plan(*steps, (_made, node, callee, arguments, new, tagged))


def _wrapping(low: Lowering, node: tree_sitter.Node) -> Step:
    """What wraps a script does not wait: `(function () {…})()`, `define(function () {…})`."""
    if not low.function.is_outer or low.spots is None:
        return node
    inner = node
    while inner.type == "parenthesized_expression" and inner.named_child_count == 1:
        inner = inner.named_children[0]
    return (outermost, inner) if inner.type in KINDS else node


def _nothing(low: Lowering) -> None:
    low.values.append(NOTHING)


def _forget(low: Lowering) -> None:
    low.values.pop()


def _method(low: Lowering, callee: tree_sitter.Node) -> None:
    """Leave the method beside its object."""
    base = low.values[-1]
    key = low.field(callee, "property") or low.field(callee, "index")
    name = ""
    if key is not None:
        name = low.text(key) if callee.type == "member_expression" else literal_text(low, key) or ""
    low.values.append(read_member(low, base, name, callee))


def _made(
    low: Lowering,
    node: tree_sitter.Node,
    callee: tree_sitter.Node,
    arguments: list[tree_sitter.Node],
    new: bool,
    tagged: bool,
) -> None:
    values = low.take(len(arguments))
    receiver, function = low.take(2)
    page, result = low.page, low.new(node)
    path = callee.type if callee.type in ("import", "super") else page.path.get(function, "")
    texts = [literal_text(low, argument) for argument in arguments]
    name = page.derived[function][1] if function in page.derived else path.rpartition(".")[2]
    found = Call(node, low.unit, low.function, function, receiver, name, path, values, texts, result, new)
    found.spread = next((i for i, argument in enumerate(arguments) if argument.type == "spread_element"), -1)
    found.in_loop = low.loops > 0
    found.tagged = tagged
    if path:
        page.path[result] = _path(path, texts, new=new)
    page.calls.append(found)
    page.results[result] = found
    low.values.append(result)


def _path(path: str, texts: list[str | None], *, new: bool) -> str:
    if path == "require" and texts and texts[0]:
        return f"import:{texts[0]}"
    if len(path) > LONGEST_PATH:
        return "?"
    if new:
        return f"new {path}"
    if path.endswith(("createElement", "createElementNS")) and texts and texts[-1]:
        return f"element<{texts[-1].lower()[:20]}>"
    if path in ("$", "jQuery") and texts and texts[0] and (tag := _TAG.match(texts[0])):
        return f"$()<{tag[1].lower()[:20]}>"
    return f"{path}()"
