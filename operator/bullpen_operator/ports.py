"""What dispatch, settle and audit ask of the world. Adapters: BullMQ client, launchers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

from bullpen_operator.model import JobType
from bullpen_operator.seen import Attempt, KubeJobSeen


class LaunchError(Exception):
    """The attempt was not started. The message is one sentence for people."""


class ConfigurationFaultError(LaunchError):
    """The job type can't run as configured (refused spec, missing account): open its breaker, cost no attempt."""


class LauncherUnavailableError(LaunchError):
    """The launcher can't be asked right now (API server away, throttled). `retry_after_s` is its own advice, if any."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Launcher(Protocol):
    """Starts attempts and says what became of them. Every method may raise LauncherUnavailableError."""

    async def launch(self, attempt: Attempt, job_type: JobType) -> None:
        """Start *attempt*; doing it twice changes nothing (its name comes from queue, id and token).

        Raises:
            ConfigurationFaultError: the job type can't run as configured.
        """

    async def list(self) -> Sequence[KubeJobSeen]:
        """Every attempt of this installation, complete; raises rather than return a part."""

    async def look(self, name: str) -> KubeJobSeen | None:
        """One attempt as it is now, read from the source and not from a cache; None: there is none."""

    async def delete(self, name: str) -> None:
        """End an attempt gracefully and remove its KubeJob; none there is fine."""

    async def mark_recorded(self, name: str) -> None:
        """Set `bullpen.dev/recorded`; none there is fine."""

    def changes(self) -> AsyncIterator[KubeJobSeen]:
        """Attempts as they change. May miss some: the audit finds those."""


class Outbox(Protocol):
    """Provenance records on their way to the graph; a record leaves when the graph has accepted it."""

    async def put(self, attempt: Attempt, record: Mapping[str, Any]) -> None:
        """Keep *record* until the graph has it; the same attempt twice is one record."""


class Clock(Protocol):
    """Time of this process, for intervals only: times that scripts get come from Redis."""

    def monotonic(self) -> float:
        """Seconds."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""
