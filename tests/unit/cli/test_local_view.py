"""The table of `bullpen local`: what is in it, and that hostile text can do nothing to a terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from bullpen_cli.local_view import Table
from bullpen_operator.engine import AttemptStatus, QueueStatus
from bullpen_operator.events import Event, EventKind
from bullpen_operator.local.environment import Connections, shown

COUNTS = {"wait": 7, "active": 1, "delayed": 2, "prioritized": 0, "completed": 30, "failed": 4}


def drawn(table: Table) -> str:
    console = Console(width=120, force_terminal=False)
    with console.capture() as captured:
        console.print(table.draw())
    return captured.get()


def status(**changed: object) -> QueueStatus:
    attempt = AttemptStatus("[red]42[/]", "resize", "t", "bp-x", "running", 61.4)
    fields = {"name": "local/q", "queue": "q", "concurrency": 3, "pending": 0, "running": 1, "attempts": (attempt,)}
    return QueueStatus(**{**fields, "counts": COUNTS, **changed})  # type: ignore[arg-type]


def test_it_shows_counts_and_running_jobs_as_they_are_named() -> None:
    table = Table(Path("operator.log"))
    table.show([status()])
    lines = [line.split() for line in drawn(table).splitlines()]
    assert ["q", "7", "0", "2", "1", "30", "4", "1/3"] in lines
    assert ["q/[red]42[/]", "resize", "running", "61", "s"] in lines


def test_it_shows_why_nothing_is_claimed() -> None:
    table = Table(Path("operator.log"))
    table.show([status(degraded="the runner refused its environment", counts={})])
    assert "local/q: the runner refused its environment" in drawn(table)


def test_it_keeps_the_last_endings_with_their_reasons() -> None:
    table = Table(Path("operator.log"))
    for number in range(12):
        table.event(
            Event(EventKind.SETTLED, "local/q", str(number), "resize", outcome="failed", sentence="out of memory")
        )
    text = drawn(table)
    assert "q/11 resize  out of memory" in text
    assert "q/1 resize" not in text


def test_urls_are_shown_without_credentials() -> None:
    assert shown("redis://user:secret@host:1/2?password=x") == "redis://host:1/2"
    assert "secret" not in repr(Connections("redis://user:secret@host", graph_password="secret"))
