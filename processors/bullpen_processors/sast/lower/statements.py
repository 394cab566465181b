"""Statements: they leave nothing, and say in which order and how often things happen."""

from __future__ import annotations

import tree_sitter

from bullpen_processors.sast.graph import NOTHING
from bullpen_processors.sast.lower.expressions import all_children, drop, leave, parts
from bullpen_processors.sast.lower.functions import hoist, returned
from bullpen_processors.sast.lower.guards import enter_guard, leave_guard
from bullpen_processors.sast.lower.names import declare, function_scope
from bullpen_processors.sast.lower.objects import load_element
from bullpen_processors.sast.lower.patterns import bind
from bullpen_processors.sast.lower.state import Lowering, Step
from bullpen_processors.sast.lower.texts import scheme
from bullpen_processors.sast.scopes import Scope

_LEAVING = ("return_statement", "throw_statement", "continue_statement", "break_statement")


def block(low: Lowering, node: tree_sitter.Node) -> None:
    """A block with its own names; behind `if (…) return`, the opposite of the condition holds."""
    children = parts(node)
    outer = low.scope
    if node.type != "program":
        low.scope = Scope(outer, low.function)
    hoist(low, children)
    steps: list[Step] = []
    guards = 0
    for child in children:
        steps += [child, (drop, 1)]
        condition = _left_unless(low, child)
        if condition is not None:
            steps.append((enter_guard, condition, False))
            guards += 1
    low.plan(*steps, *[(leave_guard,)] * guards, (_leave_block, outer))


def _leave_block(low: Lowering, outer: Scope) -> None:
    low.scope = outer
    low.values.append(NOTHING)


def _left_unless(low: Lowering, node: tree_sitter.Node) -> tree_sitter.Node | None:
    """Return the condition under which a statement leaves the block."""
    if node.type != "if_statement" or low.field(node, "alternative") is not None:
        return None
    then = low.field(node, "consequence")
    if then is not None and then.type == "statement_block" and then.named_child_count:
        then = then.named_children[-1]
    return low.field(node, "condition") if then is not None and then.type in _LEAVING else None


def if_(low: Lowering, node: tree_sitter.Node) -> None:
    """Two branches, each behind its condition."""
    condition, yes, no = (low.field(node, name) for name in ("condition", "consequence", "alternative"))
    if condition is None or yes is None:
        all_children(low, node)
        return
    steps: list[Step] = [
        condition,
        (drop, 1),
        (_deeper, 1),
        (enter_guard, condition, True),
        yes,
        (drop, 1),
        (leave_guard,),
    ]
    if no is not None:
        steps += [(enter_guard, condition, False), no, (drop, 1), (leave_guard,)]
    low.plan(*steps, (_deeper, -1), (leave, NOTHING))


def _deeper(low: Lowering, by: int) -> None:
    low.depth += by


def _looping(low: Lowering, by: int) -> None:
    low.depth += by
    low.loops += by


def loop(low: Lowering, node: tree_sitter.Node) -> None:
    """What happens in a loop may happen before what stands above it."""
    outer = low.scope
    low.scope = Scope(outer, low.function)
    children = node.named_children
    low.plan((_looping, 1), *children, (drop, len(children)), (_looping, -1), (_leave_block, outer))


def maybe(low: Lowering, node: tree_sitter.Node) -> None:
    """Parts that may be skipped: try, switch."""
    children = node.named_children
    low.plan((_deeper, 1), *children, (drop, len(children)), (_deeper, -1), (leave, NOTHING))


def switch(low: Lowering, node: tree_sitter.Node) -> None:
    """Cases may be skipped; one that names a scheme is a check."""
    source = low.tree.source[node.start_byte : node.start_byte + 2000]
    body = low.field(node, "body")
    if b"javascript" in source and body is not None:
        for case in body.named_children[:40]:
            value = low.field(case, "value")
            if value is not None and value.type == "string":
                scheme(low, node, low.text(value)[1:-1])
    maybe(low, node)


def for_in(low: Lowering, node: tree_sitter.Node) -> None:
    """`for (x of y)`: x is each element of y; `in`: only names."""
    left, right, body = (low.field(node, name) for name in ("left", "right", "body"))
    if left is None or right is None or body is None:
        all_children(low, node)
        return
    outer = low.scope
    low.scope = Scope(outer, low.function)
    operator = low.field(node, "operator")
    kind = low.field(node, "kind")
    of = operator is not None and operator.type == "of"
    low.plan((_looping, 1), right, (_each, left, of, low.text(kind) if kind is not None else ""), body, (drop, 1),
             (_looping, -1), (_leave_block, outer))  # fmt: skip


def _each(low: Lowering, left: tree_sitter.Node, of: bool, kind: str) -> None:
    value = low.values.pop()
    element = load_element(low, value, left) if of else NOTHING
    scope = None if not kind else function_scope(low) if kind == "var" else low.scope
    if left.type in ("member_expression", "subscript_expression"):
        return
    bind(low, left, element, scope)


def declarator(low: Lowering, node: tree_sitter.Node) -> None:
    """`x = value` in a declaration."""
    name, value = low.field(node, "name"), low.field(node, "value")
    if name is None:
        all_children(low, node)
    elif value is None:
        low.plan((_declared, name, low.is_var), (leave, NOTHING))
    else:
        low.plan(value, (_initialized, name, low.is_var), (leave, NOTHING))


def _declared(low: Lowering, name: tree_sitter.Node, is_var: bool) -> None:
    if name.type == "identifier":
        variable = declare(low, low.text(name), function_scope(low) if is_var else low.scope)
        if not variable.values and not low.loops and variable.owner is low.function:
            variable.now = low.graph.node()  # undefined, until something is assigned


def _initialized(low: Lowering, name: tree_sitter.Node, is_var: bool) -> None:
    scope = function_scope(low) if is_var else low.scope
    bind(low, name, low.values.pop(), scope)


def var(low: Lowering, node: tree_sitter.Node) -> None:
    """`var`: its names belong to the function."""
    _declaration(low, node, is_var=True)


def lexical(low: Lowering, node: tree_sitter.Node) -> None:
    """`let` and `const`."""
    _declaration(low, node, is_var=False)


def _declaration(low: Lowering, node: tree_sitter.Node, *, is_var: bool) -> None:
    steps: list[Step] = []
    for child in node.named_children:
        if child.type == "variable_declarator":
            steps += [(_kind, is_var), child, (drop, 1)]
    low.plan(*steps, (leave, NOTHING))


def _kind(low: Lowering, is_var: bool) -> None:
    low.is_var = is_var


def return_(low: Lowering, node: tree_sitter.Node) -> None:
    """What a function, a generator or an inline handler gives back."""
    children = parts(node)
    if children:
        low.plan(children[-1], (_return,))
    else:
        low.values.append(NOTHING)


def _return(low: Lowering) -> None:
    returned(low, low.values[-1])


def catch(low: Lowering, node: tree_sitter.Node) -> None:
    """An error is nothing that an attacker writes."""
    parameter, body = low.field(node, "parameter"), low.field(node, "body")
    outer = low.scope
    low.scope = Scope(outer, low.function)
    if parameter is not None:
        bind(low, parameter, low.graph.node(), low.scope)
    low.plan(*([body, (drop, 1)] if body is not None else []), (_leave_block, outer))
