"""The jobs of `make demo`, and what has to become of each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bullpen_protocol.bullmq import Job

TRAFFIC: Final = Path(__file__).resolve().parent.parent / "examples" / "traffic" / "vulpy.json"
BATCH: Final = 11
"""Exchanges of one job."""
RETRIED: Final = {"attempts": 2, "backoff": {"type": "fixed", "delay": 500}}


@dataclass(frozen=True, slots=True)
class Planned:
    """A job of the demo and what has to become of it."""

    queue: str
    name: str
    what: str
    data: Any = field(repr=False)
    opts: Mapping[str, Any] = field(default_factory=dict)
    state: str = "completed"
    reason: str = ""
    """Words that its failedReason has to hold."""


def plan() -> Iterator[Planned]:
    """Yield the jobs in the order in which they are added."""
    yield Planned(
        "unruly", "demo-oom", "takes all the memory it can get; may have 128 MiB", {}, RETRIED, "failed", "memory"
    )
    yield Planned("unruly", "demo-sleep", "sleeps for a minute; may take 4 s", {"seconds": 60}, {}, "failed", "4 s")
    broken = {"payload": [{"id": "x"}]}
    yield Planned("http-requests", "http-ingest", "a broken payload", broken, RETRIED, "failed", "Missing id")
    exchanges = json.loads(TRAFFIC.read_text())["payload"]["items"]
    for start in range(0, len(exchanges), BATCH):
        batch = exchanges[start : start + BATCH]
        what = f"{len(batch)} recorded HTTP exchanges into the graph"
        yield Planned("http-requests", "http-ingest", what, {"payload": {"items": batch}}, RETRIED)


@dataclass(frozen=True, slots=True)
class Ended:
    """A job of the demo when all are over."""

    planned: Planned
    job: Job
    state: str

    @property
    def as_planned(self) -> bool:
        """Tell whether it came to what the demo promises."""
        return self.state == self.planned.state and self.planned.reason in (self.job.failed_reason or "")
