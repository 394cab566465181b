"""The face of `bullpen local`: a live table on a terminal, JSON lines elsewhere."""

from __future__ import annotations

import logging
import os
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table as Grid
from rich.text import Text

from bullpen_operator.engine import QueueStatus
from bullpen_operator.events import Event, EventKind
from bullpen_operator.local.environment import Connections, shown
from bullpen_operator.logs import configure

_COUNTED: Final = ("wait", "prioritized", "delayed", "active", "completed", "failed")
_ENDINGS: Final = frozenset({EventKind.SETTLED, EventKind.GIVEN_BACK, EventKind.ENDED, EventKind.DELETED})
_TROUBLE: Final = frozenset({EventKind.DEGRADED, EventKind.AWAY, EventKind.WAITING, EventKind.DRIFT})
_STYLES: Final = {"completed": "green", "failed": "red", "unrecoverable": "red"}
_LOG_BYTES: Final = 10 << 20

logger = logging.getLogger("bullpen.local")


class View(Protocol):
    """What a session shows itself by."""

    def start(self, connections: Connections) -> None:
        """Serving begins."""

    def event(self, event: Event) -> None:
        """Something happened."""

    def show(self, statuses: Sequence[QueueStatus]) -> None:
        """The queues as they are now."""

    def say(self, sentence: str) -> None:
        """Tell people something."""

    def close(self) -> None:
        """Serving has ended."""


class Lines:
    """JSON lines on stdout, by the operator's own log: one line per transition."""

    def start(self, connections: Connections) -> None:
        """Send the log to stdout and say where producers find Redis."""
        configure(os.environ.get("LOG_LEVEL", "INFO"), sys.stdout)
        logger.info("serving", extra={"redis": shown(connections.redis_url), "graph": shown(connections.graph_url)})

    def event(self, event: Event) -> None:
        """Nothing: the engine has logged it."""

    def show(self, statuses: Sequence[QueueStatus]) -> None:
        """Nothing: whoever reads lines counts them."""

    def say(self, sentence: str) -> None:
        """One line."""
        logger.warning(sentence)

    def close(self) -> None:
        """Write out what is left."""
        logging.shutdown()


@dataclass
class Table:
    """A table that is drawn in place; the log goes to a file beside it."""

    log: Path
    console: Console = field(default_factory=Console)
    _live: Live | None = None
    _head: str = ""
    _statuses: Sequence[QueueStatus] = ()
    _endings: deque[RenderableType] = field(default_factory=lambda: deque(maxlen=10))
    _notes: deque[RenderableType] = field(default_factory=lambda: deque(maxlen=3))

    def start(self, connections: Connections) -> None:
        """Begin to draw."""
        configure(os.environ.get("LOG_LEVEL", "INFO"), self._log_file())
        graph = f"   results {shown(connections.graph_url)}" if connections.graph_url else ""
        self._head = f"Redis {shown(connections.redis_url)}{graph}   log {self.log}"
        self._live = Live(console=self.console, refresh_per_second=4, get_renderable=self.draw)
        self._live.start()

    def _log_file(self) -> TextIO:
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        return self.log.open("a", encoding="utf-8")

    def event(self, event: Event) -> None:
        """Keep the latest endings and troubles."""
        if event.kind in _ENDINGS and (event.outcome or event.sentence):
            self._endings.append(_line(event))
        elif event.kind in _TROUBLE:
            self._notes.append(_line(event))

    def show(self, statuses: Sequence[QueueStatus]) -> None:
        """Draw the queues as they are now."""
        self._statuses = statuses

    def say(self, sentence: str) -> None:
        """Show a sentence below the table."""
        self._notes.append(Text(sentence, style="yellow"))

    def close(self) -> None:
        """Draw a last time and give the terminal back."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        logging.shutdown()

    def draw(self) -> RenderableType:
        """Render all of it."""
        degraded = [Text(f"{one.name}: {one.degraded}", style="red") for one in self._statuses if one.degraded]
        return Group(
            Text(self._head, style="dim"), _queues(self._statuses), _attempts(self._statuses), *degraded,
            *self._endings, *self._notes,
        )  # fmt: skip


def _queues(statuses: Sequence[QueueStatus]) -> Grid:
    grid = Grid("queue", *_COUNTED, "running", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for one in statuses:
        counts = [str(one.counts[state]) if state in one.counts else "-" for state in _COUNTED]
        grid.add_row(Text(one.queue), *counts, f"{one.running}/{one.concurrency}")
    return grid


def _attempts(statuses: Sequence[QueueStatus]) -> Grid:
    grid = Grid(box=None, show_header=False, padding=(0, 2, 0, 2))
    for one in statuses:
        for attempt in one.attempts:
            job = Text(f"{one.queue}/{attempt.job_id}", overflow="ellipsis", no_wrap=True)
            grid.add_row(job, Text(attempt.job_name), attempt.stage, f"{attempt.age_s:.0f} s", Text(attempt.waiting))
    return grid


def _line(event: Event) -> Text:
    what = event.outcome or event.kind.value
    line = Text(f"{datetime.now().astimezone():%H:%M:%S}  ", style="dim")
    line.append(f"{what:13} ", style=_STYLES.get(what, "yellow"))
    line.append(f"{event.jobqueue.partition('/')[2]}/{event.job_id} {event.job_name}".rstrip(" /"), style="default")
    if event.sentence:
        line.append(f"  {event.sentence}", style="default")
    return line
