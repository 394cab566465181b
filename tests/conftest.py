"""Long tests begin first; what was skipped because this machine lacks a part is said at the end, by name and count."""

from __future__ import annotations

import signal
from collections import Counter

import pytest
from _pytest.nodeid import coerce_node_id
from _pytest.terminal import TerminalReporter

from support import MISSING

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in its background deaf to Ctrl-C, and what a test starts would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests that ask for more time than others first: two processes then end at about the same time.

    Tests of one xdist_group stay in one process: xdist 3.8 names the group where pytest 9.2 no longer looks.
    """
    items.sort(key=_time_asked_for, reverse=True)
    for item in items:
        grouped = vars(item).get("_nodeid")
        if grouped is not None:
            item._id = coerce_node_id(grouped)


def _time_asked_for(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker and marker.args else 0.0


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """List the parts that were missing and how many tests each one cost; with xdist, over all its processes."""
    missing = Counter(filter(None, map(_missing_part, terminalreporter.getreports("skipped"))))
    if not missing:
        return
    terminalreporter.section("parts not on this machine", sep="=", yellow=True)
    for part, count in sorted(missing.items()):
        terminalreporter.line(f"{count:5d} skipped without {part}", yellow=True)
    terminalreporter.line("Under CI=true each of these fails instead, except for repositories of others.")


def _missing_part(report: pytest.TestReport | pytest.CollectReport) -> str | None:
    """Read the reason of a skip; None when it was skipped for a reason of its own."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    _, found, part = reason.partition(MISSING)
    return part if found else None
