"""What a queue tells while things happen: its event stream, read from a place that was noted before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from bullpen_protocol.bullmq.keys import Keys
from bullpen_protocol.bullmq.steps import Command, Operation, read

Event: TypeAlias = Mapping[str, str]
"""`event` names it; `jobId`, `prev`, `data` (progress, JSON), `returnvalue`, `failedReason`: as BullMQ writes them."""


def last_event(keys: Keys) -> Operation[str]:
    """Note the place: the id of the newest event."""
    found = yield read("XREVRANGE", keys("events"), "+", "-", "COUNT", 1)
    return str(found[0][0]) if found else "0-0"


def events_after(keys: Keys, place: str, block_ms: int, most: int = 100) -> Operation[tuple[list[Event], str]]:
    """Wait for events after *place*; those that came, and the place after them. None came within *block_ms*: none.

    The client must be allowed to block for so long: connect(url, block_s=...). Streams are cut to about 10,000 events:
    whoever waits for the end of a job looks at its state as well.
    """
    stream = ("STREAMS", keys("events"), place)
    reply = yield Command(("XREAD", "COUNT", most, "BLOCK", block_ms, *stream), again=True)
    entries = reply[0][1] if reply else []
    return [fields for _, fields in entries], str(entries[-1][0]) if entries else place
