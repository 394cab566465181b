"""What scripts import and export."""

from __future__ import annotations

import tree_sitter

from bullpen_processors.sast.graph import NOTHING
from bullpen_processors.sast.lower.expressions import leave
from bullpen_processors.sast.lower.names import declare, set_variable
from bullpen_processors.sast.lower.state import Lowering, Step
from bullpen_processors.sast.scopes import Variable


def import_(low: Lowering, node: tree_sitter.Node) -> None:
    """`import {a as b} from "m"`."""
    low.values.append(NOTHING)
    source = low.field(node, "source")
    if source is None:
        return
    module = low.text(source)[1:-1]
    waiting = [child for child in node.named_children if child.type == "import_clause"]
    for clause in waiting:
        for child in clause.named_children:
            _import_clause(low, child, module)


def _import_clause(low: Lowering, child: tree_sitter.Node, module: str) -> None:
    if child.type == "identifier":
        _imported(low, low.text(child), module, "default", child)
    elif child.type == "namespace_import":
        _imported(low, low.text(child.named_children[-1]), module, "*", child)
    elif child.type == "named_imports":
        for specifier in child.named_children:
            name = low.field(specifier, "name")
            alias = low.field(specifier, "alias") or name
            if name is not None and alias is not None:
                _imported(low, low.text(alias), module, low.text(name), specifier)


def _imported(low: Lowering, local: str, module: str, name: str, node: tree_sitter.Node) -> None:
    value = low.new(node)
    low.page.path[value] = f"import:{module}" + ("" if name in ("*", "default") else f".{name}")
    low.page.imports.append((module, name, value, low.unit))
    variable = declare(low, local)
    set_variable(low, variable, value)
    low.page.held[variable.every] = low.page.path[value]


def export(low: Lowering, node: tree_sitter.Node) -> None:
    """`export const a = …`, `export {a as b}`, `export default …`."""
    declared, value, source = (low.field(node, name) for name in ("declaration", "value", "source"))
    steps: list[Step] = [(leave, NOTHING)]
    if declared is not None:
        default = any(child.type == "default" for child in node.children)
        steps = [declared, (_export_declared, declared, default)]
    elif value is not None:
        steps = [value, (_export_value, "default")]
    for clause in node.named_children:
        if clause.type == "export_clause" and source is None:
            steps.append((_export_names, clause))
    low.plan(*steps)


def _export_value(low: Lowering, name: str) -> None:
    low.exports[name] = low.values[-1]


def _export_names(low: Lowering, clause: tree_sitter.Node) -> None:
    for specifier in clause.named_children:
        name = low.field(specifier, "name")
        alias = low.field(specifier, "alias") or name
        if name is not None and alias is not None:
            _export(low, low.text(alias), declare(low, low.text(name)))


def _export_declared(low: Lowering, node: tree_sitter.Node, default: bool) -> None:
    name = low.field(node, "name")
    found = [name] if name is not None else [low.field(child, "name") for child in node.named_children]
    for identifier in found:
        if identifier is not None and identifier.type in ("identifier", "type_identifier"):
            variable = _variable(low, low.text(identifier))
            _export(low, "default" if default else variable.name, variable)
            _export(low, variable.name, variable)


def _export(low: Lowering, name: str, variable: Variable) -> None:
    low.exports.setdefault(name, variable.every)
    low.page.reads[variable.every] = variable


def _variable(low: Lowering, name: str) -> Variable:
    return low.scope.find(name) or declare(low, name)
