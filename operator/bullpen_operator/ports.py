"""What dispatch, settle and audit ask of the world. Adapters: BullMQ client, launchers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from bullpen_operator.model import JobType
from bullpen_operator.seen import Attempt, KubeJobSeen
from bullpen_protocol.bullmq import Claimed, Empty, Finish, HoldResult, Job, Location


class LaunchError(Exception):
    """The attempt was not started. The message is one sentence for people."""


class ConfigurationFaultError(LaunchError):
    """The job type can't run as configured (refused spec, missing account): open its breaker, cost no attempt."""

    def __init__(self, message: str, code: str = "refused-spec") -> None:
        super().__init__(message)
        self.code = code


class LauncherUnavailableError(LaunchError):
    """The launcher can't start anything right now (API server away, throttled, a quota used up): claimed jobs wait.

    `retry_after_s` is its own advice, if any.
    """

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

    def may_launch(self) -> bool:
        """Whether what was launched before has been taken up, so that more may follow; known without asking."""

    async def list(self) -> Sequence[KubeJobSeen]:
        """Every attempt of this installation, complete; raises rather than return a part."""

    async def look(self, name: str) -> KubeJobSeen | None:
        """One attempt as it is now, read from the source and not from a cache; None: there is none."""

    async def log_tail(self, seen: KubeJobSeen, uid: str, lines: int) -> str:
        """The last *lines* of what the main container of pod *uid* wrote, untrusted; empty when there is no more.

        A job waits for it to be settled: it takes a few seconds at most, or raises.
        """

    async def delete(self, name: str, *, grace_s: float | None = None) -> None:
        """End an attempt gracefully and remove its KubeJob; none there is fine.

        Its grace time is its own, or *grace_s* if that is shorter.
        """

    async def mark_recorded(self, name: str) -> None:
        """Set `bullpen.dev/recorded`; none there is fine."""

    def changes(self) -> AsyncIterator[KubeJobSeen]:
        """Attempts as they change. May miss some: the audit finds those."""


class StoreUnavailableError(Exception):
    """The graph store gave no answer, or one that says nothing of the update: try again later. One sentence."""


class StoreRefusedError(Exception):
    """The graph store will never take this update. One sentence."""


class Store(Protocol):
    """One graph store, as far as the operator needs it. Every method may raise StoreUnavailableError."""

    async def probe(self) -> None:
        """Ask something cheap; returns if the store answers as it should."""

    async def update(self, text: str) -> None:
        """Run a SPARQL update, in one try; it may have been run although no answer came.

        Raises:
            StoreRefusedError: it never will be.
        """


class Clock(Protocol):
    """Time of this process, for intervals only: times that scripts get come from Redis."""

    def monotonic(self) -> float:
        """Seconds."""

    def now(self) -> datetime:
        """Wall-clock time, to be compared with what other machines wrote."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class Queue(Protocol):
    """One BullMQ queue: the part of bullpen_protocol.bullmq.AsyncQueue that the operator uses.

    Every method may raise RedisFaultError; finishes raise QueueError when the fence is another's.
    """

    def claim(self, token: str, lock_ms: int, *, limiter: tuple[int, int] | None = None) -> Awaitable[Claimed | Empty]:
        """Move the next job to active under *token*."""

    def hold(self, job_id: str, token: str, fence: str, lock_ms: int) -> Awaitable[HoldResult]:
        """Bind, renew or re-own."""

    def load(self, job_id: str) -> Awaitable[Job | None]:
        """Read a job with its data."""

    def location(self, job_id: str) -> Awaitable[Location]:
        """Read who has the job, in one round trip and without its data."""

    def cancels(self, job_ids: Sequence[str]) -> Awaitable[list[str | None]]:
        """Read which attempt (T) of each job somebody asked to cancel."""

    def active_ids(self) -> Awaitable[list[str]]:
        """Every job of the active list."""

    def complete(
        self, job: Job, token: str, value_json: str, *, fields: Mapping[str, str] | None = None
    ) -> Awaitable[Finish]:
        """Finish with a value."""

    def fail(
        self,
        job: Job,
        token: str,
        reason: str,
        stack: list[str] | str,
        *,
        unrecoverable: bool = False,
        fields: Mapping[str, str] | None = None,
    ) -> Awaitable[Finish]:
        """Finish with a failure; retries and backoff as the producer asked, unless *unrecoverable*."""

    def give_back(
        self, job: Job, token: str, delay_ms: int, *, fields: Mapping[str, str] | None = None
    ) -> Awaitable[None]:
        """Return the job to the queue without spending an attempt."""

    def stalled(self, max_stalled: int, interval_ms: int, *, spare: Sequence[str] = ()) -> Awaitable[list[str]]:
        """Run BullMQ's stalled check over all active jobs but those of *spare*."""

    def advance(self, job: Job) -> Awaitable[None]:
        """Produce the next job of the scheduler or legacy repeat that made *job*; twice is once."""

    def outbox_put(self, iri: str, record: str) -> Awaitable[bool]:
        """Keep a record for the graph store; False: one of this name is kept already, and it stays."""

    def outbox_records(self) -> Awaitable[dict[str, str]]:
        """Read the kept records by their names."""

    def outbox_remove(self, iri: str) -> Awaitable[None]:
        """Let go of a record."""

    def counts(self) -> Awaitable[dict[str, int]]:
        """Jobs by state."""

    def note(self, job_id: str, line: str) -> Awaitable[int]:
        """Append a line to the job's log."""

    def oldest_waiting_ms(self) -> Awaitable[int | None]:
        """When the oldest of the jobs that come next was added; None: none waits."""

    def now_ms(self) -> Awaitable[int]:
        """Time of Redis."""


class Server(Protocol):
    """One Redis."""

    def queue(self, name: str, prefix: str) -> Queue:
        """Return the queue of this name, always the same object."""

    async def check(self) -> str | None:
        """Say in one sentence why it must not hold queues; None: it is fit. Raises RedisFaultError."""

    async def wait_any(self, queues: Sequence[Queue], timeout_s: float) -> Queue | None:
        """Block until one of *queues* has work; None: none had. May be cancelled (a wake-up may then be lost)."""
