"""The operator without its surroundings: dispatch, settle, audit and renewal of any number of JobQueues.

`bullpen local` and the Kubernetes operator host the same engine; only launchers and connections differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bullpen_operator.clock import SystemClock
from bullpen_operator.events import Event, Report
from bullpen_operator.model import JobQueueSpec
from bullpen_operator.ports import Launcher, Server


@dataclass(frozen=True, slots=True)
class Served:
    """One JobQueue as its host hands it over."""

    name: str
    """`<namespace>/<name>`; locally `local/<name>`. What `put` and `remove` go by."""
    spec: JobQueueSpec
    installation: str
    """naming.installation_id: the middle of every token; attempts of others are never touched."""
    server: Server
    """The Redis of the queue (server.RedisServer). JobQueues on one Redis share one: it makes one blocking wait."""
    launcher: Launcher
    """One per JobQueue, or one that several share."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """The pace of an engine; the defaults are DESIGN's."""

    audit_interval_s: float = 60.0
    fallback_claim_s: float = 10.0
    """An idle queue with free capacity is asked this often even if no marker woke us."""
    stalled_interval_ms: int = 30_000
    drain_timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class AttemptStatus:
    """A running attempt, for tables."""

    job_id: str
    job_name: str
    token: str
    kube_job: str
    stage: str
    """`claimed`, `pending` (launched) or `running`."""
    age_s: float
    """Since the claim, or since this engine first saw it."""
    waiting: str = ""
    """Why it has not started, one sentence."""


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """One JobQueue at a moment."""

    name: str
    queue: str
    concurrency: int
    pending: int
    running: int
    attempts: tuple[AttemptStatus, ...]
    """Oldest first."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """BullMQ's states of the queue; empty while Redis is away."""
    suspended: bool = False
    degraded: str = ""
    """Why nothing is claimed, one sentence; empty when all is well."""
    unknown_names: tuple[str, ...] = ()
    audited_at: datetime | None = None
    """When the last complete audit ended; None: none yet, so nothing is claimed."""
    settled: Mapping[str, int] = field(default_factory=dict)
    """Attempts that ended since this engine started, by outcome."""


class Engine:
    """Serves JobQueues until it is stopped. All methods belong to one event loop."""

    def __init__(
        self,
        *,
        report: Report | None = None,
        settings: EngineSettings | None = None,
        clock: SystemClock | None = None,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        """Make an idle engine; *report* hears every transition (see events.Event)."""

    def put(self, served: Served) -> None:
        """Serve a JobQueue, or serve it as it is described now.

        A changed spec is for the next claim: running attempts keep what was frozen when they were launched.
        May be called before and while `run` runs.
        """

    def remove(self, name: str) -> None:
        """Claim no more for this JobQueue; it is forgotten once its attempts have ended and are settled."""

    async def run(self) -> None:
        """Serve until `stop`. Outages of Redis and of launchers delay it and never end it."""

    async def stop(self, *, drain: bool = False) -> None:
        """End `run`; return when it has ended.

        Args:
            drain: end the running attempts gracefully first and settle them (given back: no attempt is spent);
                at most EngineSettings.drain_timeout_s. Without it they run on, for the next engine to find.
        """

    async def status(self) -> tuple[QueueStatus, ...]:
        """Every JobQueue as it is now (one request to Redis per queue)."""
        return ()


__all__ = ["AttemptStatus", "Engine", "EngineSettings", "Event", "QueueStatus", "Served"]
