"""Whether acorn takes a script that tree-sitter takes: the original's ids count the scripts that its parser took.

Early errors of ECMAScript (https://tc39.es/ecma262/#early-error) and syntax of other languages. Texts that may be one
are found by a pattern, and the node there decides: no walk through the whole tree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Final, NamedTuple

import tree_sitter

from bullpen_processors.sast.syntax import Tree

_CANDIDATES: Final = 2_000
"""Places that are looked at; more are in no script that this matters for."""
_CLIMBS: Final = 1_000
_NODES: Final = 20_000
_SUSPECT: Final = re.compile(
    rb"\b(?:with|await|delete|let|static|yield|implements|interface|package|private|protected|public|enum)\b"
    rb"|(?<![\w.$])0[0-9]|\\[0-9]|<!--|-->|<[A-Za-z>]|@\w"
)
_OCTAL: Final = re.compile(r"0[0-9].*|\\(?:0[0-9]+|[1-9][0-9]*)")
_LONGEST: Final = 40
"""Bytes of a name or a number that may be wrong."""
_FUNCTIONS: Final = frozenset({
    "function_expression", "function_declaration", "arrow_function", "method_definition", "generator_function",
    "generator_function_declaration",
})  # fmt: skip
_SCOPES: Final = _FUNCTIONS | {"class_static_block", "field_definition", "program"}
_LISTS: Final = frozenset({"lexical_declaration", "variable_declaration"})
_LEXICAL: Final = frozenset({"lexical_declaration", "class_declaration", "function_declaration"})


class _Suspect(NamedTuple):
    node: tree_sitter.Node
    text: str
    """The node's own."""
    word: str
    """What drew attention."""
    module: bool
    climbs: Iterator[int]
    """Steps from a node to the one around it that all suspects have left: each is a walk down from the root."""


def is_taken(tree: Tree, *, module: bool) -> bool:
    """Tell whether acorn parses it, as a module or as a script."""
    if tree.is_broken or tree.has_odd_names or tree.name != "javascript":
        return False
    return not any(map(_is_wrong, _suspects(tree, module))) and not _outermost_is_wrong(tree, module)


def _suspects(tree: Tree, module: bool) -> Iterator[_Suspect]:
    climbs = iter(range(_CLIMBS))
    for match in islice(_SUSPECT.finditer(tree.source), _CANDIDATES):
        node = tree.at(match.start(), match.end())
        if node is not None:
            text = tree.text(node) if node.end_byte - node.start_byte <= _LONGEST else ""
            yield _Suspect(node, text, match[0].decode(), module, climbs)


def _is_wrong(suspect: _Suspect) -> bool:
    kind, parent = suspect.node.type, suspect.node.parent
    if kind == "html_comment":
        return suspect.module
    if kind.startswith("jsx") or kind == "decorator" or (parent is not None and parent.type == "decorator"):
        return True
    judge = _OF_KIND.get(kind)
    return judge is not None and judge(suspect)


def _name(suspect: _Suspect) -> bool:
    """Reserved words as names: of strict code, and `await` in modules."""
    return suspect.text == suspect.word and (suspect.module or suspect.word == "enum")


def _keyword(suspect: _Suspect) -> bool:
    parent = suspect.node.parent
    if parent is not None and parent.type == "await_expression":
        return not _may_await(parent, suspect)
    if parent is None or not suspect.module:
        return False
    deleted = parent.type == "unary_expression" and parent.named_children[0].type == "identifier"
    return deleted or parent.type == "with_statement"


def _may_await(node: tree_sitter.Node, suspect: _Suspect) -> bool:
    around = node.parent
    while around is not None and around.type not in _SCOPES:
        if next(suspect.climbs, None) is None:
            return True  # nobody nests so deep by hand
        around = around.parent
    if around is None or around.type == "program":
        return suspect.module
    return around.type in _FUNCTIONS and any(child.type == "async" for child in around.children[:3])


def _octal(suspect: _Suspect) -> bool:
    return suspect.module and _OCTAL.fullmatch(suspect.text) is not None


_OF_KIND: Final[Mapping[str, Callable[[_Suspect], bool]]] = {
    "identifier": _name,
    "shorthand_property_identifier": _name,
    "with": _keyword,
    "await": _keyword,
    "delete": _keyword,
    "number": _octal,
    "escape_sequence": _octal,
}


def _outermost_is_wrong(tree: Tree, module: bool) -> bool:
    """Look at what is in no function: `return`, and names that are declared twice."""
    declared: dict[str, bool] = {}
    waiting, budget = [tree.root], _NODES
    while waiting and budget:
        node = waiting.pop()
        budget -= 1
        if node.type == "return_statement":
            return True
        if node.type not in _FUNCTIONS and "expression" not in node.type:
            waiting += node.named_children
    return any(_clashes(declared, name, lexical) for name, lexical in _names(tree, module))


def _names(tree: Tree, module: bool) -> Iterator[tuple[str, bool]]:
    """Yield names that the script itself declares, and whether only once is allowed."""
    for child in tree.root.named_children:
        if child.type == "export_statement":
            child = child.child_by_field_name("declaration") or child  # noqa: PLW2901 - what is exported declares as well
        lexical = child.type in _LEXICAL and (module or child.type != "function_declaration")
        if not lexical and child.type not in ("variable_declaration", "function_declaration"):
            continue
        for one in child.named_children if child.type in _LISTS else (child,):
            name = one.child_by_field_name("name")
            if name is not None and name.type == "identifier":
                yield tree.text(name), lexical


def _clashes(declared: dict[str, bool], name: str, lexical: bool) -> bool:
    known = declared.get(name)
    declared[name] = lexical
    return known is not None and (known or lexical)
