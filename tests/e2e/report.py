"""Which rows of the table of failures a run had a cluster go through, and what no run on this machine can show."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from _pytest.terminal import TerminalReporter

from failure_rows import Row, numbers_of, rows

RENDERED_ONLY: Final = (
    ("NetworkPolicy", "nothing here sees whether a network enforces what the chart renders"),
    ("PodMonitor", "no Prometheus operator and no such CRD on the cluster"),
    ("other architectures than the machine's", "images are built for that one alone"),
)
"""Part -> why no scenario can tell more of it than what the chart renders."""


@dataclass
class RowReport:
    """Hears how scenarios ended, and tells of each row."""

    target: Path
    """Where it is written."""
    cgroup: str = ""
    """Version of the nodes' control groups, once it is known."""
    passed: dict[int, list[str]] = field(default_factory=dict)
    failed: dict[int, list[str]] = field(default_factory=dict)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Keep what came of a scenario with rows."""
        report = yield
        if report.failed or (report.when == "call" and report.passed):
            ends = self.failed if report.failed else self.passed
            for number in numbers_of(item.iter_markers("row")):
                ends.setdefault(number, []).append(item.name)
        return report

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Print the table and write it down, unless no scenario ran."""
        if not (self.passed or self.failed):
            return
        lines = [*map(self._line, rows()), "", *self._unverified()]
        terminalreporter.section("rows of the table of failures")
        for line in lines:
            terminalreporter.line(line)
        self.target.parent.mkdir(parents=True, exist_ok=True)
        self.target.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _line(self, row: Row) -> str:
        return f"{row.number:3d}  {self._state(row):62}  {row.what[:90]}"

    def _state(self, row: Row) -> str:
        if failed := self.failed.get(row.number):
            return f"FAILED on a real cluster: {_some(failed)}"
        if passed := self.passed.get(row.number):
            return f"exercised on a real cluster: {_some(passed)}"
        if row.scenarios:
            return "not in this run: " + ("make e2e-full" if all(one.slow for one in row.scenarios) else "make e2e")
        return "by the corpus only"

    def _unverified(self) -> Iterator[str]:
        yield "rendered only, for this machine can't verify it:"
        other = {"1": "2", "2": "1"}.get(self.cgroup)
        more = [(f"cgroup v{other}", f"this machine's nodes have v{self.cgroup}")] if other else []
        yield from (f"     {name}: {why}" for name, why in (*RENDERED_ONLY, *more))


def _some(names: Iterable[str]) -> str:
    """Name the first scenario, shortened, and count the others."""
    first, *others = (name.removeprefix("test_") for name in names)
    short = first if len(first) <= 28 else f"{first[:27]}…"
    return short + (f" (+{len(others)})" if others else "")
