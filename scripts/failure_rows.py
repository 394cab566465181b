"""The table of failures, put together: the rows in words, their cases in the corpus, and the scenarios on a cluster."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parent.parent
CORPUS: Final = ROOT / "tests" / "corpus"
SCENARIOS: Final = ROOT / "tests" / "e2e"
COSTS: Final = frozenset({"retry", "fail"})
"""Answers that spend an attempt."""


@dataclass(frozen=True)
class Scenario:
    """A test that has a cluster go through some rows."""

    name: str
    rows: tuple[int, ...]
    slow: bool


@dataclass(frozen=True)
class Row:
    """One way a pod can end or hang."""

    number: int
    what: str
    do: str
    answers: tuple[str, ...]
    """Of its cases, each once: `retry`, `give back`, `wait`, ..."""
    scenarios: tuple[Scenario, ...] = field(default=())

    @property
    def costs(self) -> str:
        """Whether the job pays an attempt for it."""
        ends = {answer for answer in self.answers if answer not in ("wait", "nothing")}
        if not ends & COSTS:
            return "no"
        return "yes" if ends <= COSTS else "it depends"


def rows() -> list[Row]:
    """Read all of them."""
    words: Mapping[int, tuple[str, str]] = yaml.safe_load((CORPUS / "rows.yaml").read_text(encoding="utf-8"))
    known = list(scenarios())
    return [
        Row(number, what, do, _answers(number), tuple(one for one in known if number in one.rows))
        for number, (what, do) in sorted(words.items())
    ]


def _answers(number: int) -> tuple[str, ...]:
    cases = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(CORPUS.glob("*.json")))
    return tuple(dict.fromkeys(case["expected"]["answer"] for case in cases if case["row"] == number))


def scenarios(folder: Path = SCENARIOS) -> Iterator[Scenario]:
    """Find the tests with the marker `row`, by reading: nothing is imported."""
    for path in sorted(folder.glob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        slow_module = any(_marks(node.value, "slow") for node in tree.body if _is_pytestmark(node))  # type: ignore[attr-defined]
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                numbers = tuple(_numbers(node.decorator_list))
                slow = slow_module or any(_marks(one, "slow") for one in node.decorator_list)
                if numbers:
                    yield Scenario(f"{path.stem}::{node.name}", numbers, slow)


def _is_pytestmark(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets)


def _marks(node: ast.AST, name: str) -> bool:
    return any(isinstance(one, ast.Attribute) and one.attr == name for one in ast.walk(node))


def _numbers(decorators: Iterable[ast.expr]) -> Iterator[int]:
    for one in decorators:
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr == "row":
            yield from (ast.literal_eval(argument) for argument in one.args)


def numbers_of(marks: Iterable[Any]) -> list[int]:
    """Read the rows of a test's own markers."""
    return sorted({number for mark in marks for number in mark.args})
