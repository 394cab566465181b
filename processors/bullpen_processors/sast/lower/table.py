"""Which kind of syntax is lowered how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

from bullpen_processors.sast.lower import (
    assignments,
    calls,
    expressions,
    functions,
    jsx,
    members,
    modules,
    names,
    objects,
    statements,
    texts,
)
from bullpen_processors.sast.syntax import language

_BY_KIND: Final[Mapping[str, Callable[..., None]]] = {
    "identifier": names.read,
    "shorthand_property_identifier": objects.shorthand,
    "string": expressions.string,
    "template_string": texts.template,
    "regex": expressions.regex,
    "this": members.this,
    "member_expression": members.member,
    "subscript_expression": members.subscript,
    "binary_expression": texts.binary,
    "ternary_expression": expressions.ternary,
    "array": objects.array,
    "object": objects.object_,
    "assignment_expression": assignments.assignment,
    "augmented_assignment_expression": assignments.augmented,
    "call_expression": calls.call,
    "new_expression": calls.new,
    "jsx_element": jsx.element,
    "jsx_self_closing_element": jsx.element,
    "jsx_expression": jsx.expression,
    "function_expression": functions.expression,
    "arrow_function": functions.expression,
    "generator_function": functions.expression,
    "method_definition": functions.expression,
    "function_declaration": functions.declaration,
    "generator_function_declaration": functions.declaration,
    "class": functions.class_,
    "class_declaration": functions.class_,
    "abstract_class_declaration": functions.class_,
    "program": statements.block,
    "statement_block": statements.block,
    "if_statement": statements.if_,
    "for_statement": statements.loop,
    "while_statement": statements.loop,
    "do_statement": statements.loop,
    "for_in_statement": statements.for_in,
    "try_statement": statements.maybe,
    "switch_statement": statements.switch,
    "variable_declaration": statements.var,
    "lexical_declaration": statements.lexical,
    "variable_declarator": statements.declarator,
    "return_statement": statements.return_,
    "catch_clause": statements.catch,
    "import_statement": modules.import_,
    "export_statement": modules.export,
    "yield_expression": statements.return_,
}
_TRANSPARENT: Final = (
    "class_heritage",
    "parenthesized_expression",
    "sequence_expression",
    "await_expression",
    "spread_element",
)
_CASTS: Final = ("extends_clause", "as_expression", "satisfies_expression", "non_null_expression")
_SKIPPED: Final = (
    "comment", "number", "true", "false", "null", "undefined", "property_identifier", "type_annotation",
    "interface_declaration", "type_alias_declaration", "type_arguments", "type_parameters", "html_comment",
    "escape_sequence", "private_property_identifier", "statement_identifier", "jsx_text", "super", "import",
)  # fmt: skip


@cache
def handlers(name: str) -> list[Callable[..., None] | None]:
    """Return the handler of each kind of node of a grammar; None: a literal, or nothing to see."""
    grammar = language(name)
    table: list[Callable[..., None] | None] = [expressions.all_children] * (grammar.node_kind_count + 2)
    for number in range(grammar.node_kind_count):
        kind = grammar.node_kind_for_id(number) or ""
        if kind in _BY_KIND:
            table[number] = _BY_KIND[kind]
        elif kind in _TRANSPARENT:
            table[number] = expressions.last_child
        elif kind in _CASTS:
            table[number] = expressions.first_child
        elif kind in _SKIPPED or not grammar.node_kind_is_named(number):
            table[number] = None
    return table
