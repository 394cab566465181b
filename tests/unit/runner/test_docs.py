"""docs/runner.md says what the code says."""

from __future__ import annotations

import ast
import re

from bullpen_protocol import assignment
from bullpen_protocol.assignment import ExitCode
from support import ROOT

ROW = re.compile(r"^\| (\d+) \| ([A-Z_]+) \| (.+) \|$", re.MULTILINE)


def meanings() -> dict[str, str]:
    """Read the docstrings below the members, which Python forgets."""
    tree = ast.parse((ROOT / "protocol/bullpen_protocol/assignment.py").read_text())
    table = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == ExitCode.__name__)
    found = {}
    for member, text in zip(table.body, table.body[1:], strict=False):
        if isinstance(member, ast.Assign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            name = member.targets[0]
            assert isinstance(name, ast.Name)
            found[name.id] = str(text.value.value)
    return found


def test_the_table_of_exit_codes_is_that_of_the_code() -> None:
    rows = ROW.findall((ROOT / "docs/runner.md").read_text())
    assert {(int(code), name, meaning) for code, name, meaning in rows} == {
        (code.value, code.name, meanings()[code.name]) for code in assignment.ExitCode
    }
