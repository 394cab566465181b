"""One entry on a log server for every attempt that has come to an end."""

from __future__ import annotations

import logging
import os
import time
from typing import Final

from bullpen_operator.events import ENDS, Event, EventKind
from bullpen_protocol.forwarding.entries import LogEntry, Target
from bullpen_protocol.forwarding.forwarder import Forwarder
from bullpen_protocol.timestamps import timestamp

logger = logging.getLogger(__name__)

COMPLETED: Final = "completed"


class AttemptLog:
    """Tells a log server of the ends of attempts. Never waits but in `close`."""

    def __init__(self, target: Target | None) -> None:
        """*target* is None where no log server is asked for: nothing is told then."""
        self._forwarder = Forwarder(target, os.environ, _tell) if target else None

    def report(self, event: Event) -> None:
        """Forward the end of an attempt; all other events are none of its business."""
        if self._forwarder is not None and event.kind in ENDS:
            self._forwarder.put(entry_of(event, time.time()))

    def close(self) -> None:
        """Let go what is under way; about a second at most."""
        if self._forwarder is not None:
            self._forwarder.close()


def entry_of(event: Event, now: float) -> LogEntry:
    """Render the end of an attempt; *now* is in seconds since 1970."""
    outcome = "given back" if event.kind is EventKind.GIVEN_BACK else event.outcome or event.kind.value
    reason = f": {event.sentence}" if event.sentence else ""
    return LogEntry(
        ts=timestamp(now),
        level="info" if outcome == COMPLETED else "warn",
        ns=event.log_namespace,
        msg=f"{event.job_name} {event.job_id}, attempt {event.attempt}: {outcome}{reason}",
    )


def _tell(level: str, sentence: str) -> None:
    logger.log(logging.getLevelNamesMapping()[level.upper()], sentence)
