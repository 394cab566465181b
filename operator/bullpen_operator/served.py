"""A JobQueue as its host hands it over, and what the operator remembers of it. All of it can be forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from bullpen_operator.breaker import Breaker, Change
from bullpen_operator.escaping import safe
from bullpen_operator.events import Event, EventKind, Report
from bullpen_operator.model import GRAPH_TIMEOUT_S, JobQueueSpec, JobType
from bullpen_operator.ports import Clock, Launcher, LauncherUnavailableError, Queue, Server, Store
from bullpen_operator.seen import Attempt, AttemptSettings
from bullpen_operator.sizes import Sizes, sized
from bullpen_operator.slots import Slots
from bullpen_protocol.bullmq import Job, Location, RedisFaultError, RedisRefusedError

TOKEN_PREFIX: Final = "bullpen/"  # noqa: S105 - the public part
"""Every attempt's token begins so, of whatever installation."""


@dataclass(frozen=True, slots=True)
class Served:
    """One JobQueue as its host hands it over."""

    name: str
    """`<namespace>/<name>`; locally `local/<name>`. What Engine.put and Engine.remove go by."""
    spec: JobQueueSpec
    installation: str
    """naming.installation_id: the middle of every token; attempts of others are never touched."""
    server: Server
    """The Redis of the queue. JobQueues on one Redis share one: it makes one blocking wait for all."""
    launcher: Launcher
    """One per JobQueue, or one that several share."""
    stores: Mapping[str, Store] = field(default_factory=dict)
    """Graph stores by the name of their Secret. Attempts of a store that is not here get no records by the operator."""
    sizes: Mapping[str, Sizes] = field(default_factory=dict)
    """What job types were known to need before this operator began, by name of the job type."""


def same_room(old: JobQueueSpec, new: JobQueueSpec, job_type: str) -> bool:
    """Whether a job type begins and grows as before: else what was learned of it belongs to what it was."""
    one, other = old.job_type(job_type), new.job_type(job_type)
    if one is None or other is None:
        return False
    fields = ("resources", "on_out_of_memory", "on_out_of_disk")
    return all(getattr(one, name) == getattr(other, name) for name in fields)


@dataclass
class Backoff:
    """Growing pauses between tries of something that is away."""

    first_s: float = 1.0
    longest_s: float = 30.0
    until: float = 0.0
    _pause_s: float = 0.0

    def failed(self, now: float, advice_s: float | None = None) -> bool:
        """Pause, for *advice_s* if whoever refused said so; whether this is the first failure in a row."""
        first = not self._pause_s
        self._pause_s = min(2 * self._pause_s, self.longest_s) if self._pause_s else self.first_s
        self.until = now + (advice_s if advice_s is not None else self._pause_s)
        return first

    @property
    def active(self) -> bool:
        """Whether the last try failed."""
        return bool(self._pause_s)

    def worked(self) -> bool:
        """It is there again; whether it had been away."""
        was_away = bool(self._pause_s)
        self._pause_s = self.until = 0.0
        return was_away


@dataclass
class Lane:
    """One JobQueue in this operator: its description, its queue, and what was seen so far."""

    served: Served
    clock: Clock
    report: Report
    slots: Slots = field(default_factory=Slots)
    breaker: Breaker = field(default_factory=Breaker)
    launcher_pause: Backoff = field(default_factory=Backoff)
    launcher_trouble: str = ""
    """What the launcher said when it last could not launch."""
    redis_fault: RedisFaultError | None = None
    """What keeps this operator from claiming at its Redis; of several in a row that are alike, the first."""
    audit_fault: RedisFaultError | LauncherUnavailableError | None = None
    """Why the last audit did not go through; None when it did."""
    unknown_names: dict[str, float] = field(default_factory=dict)
    """Job names that no job type serves -> when one was last given back."""
    claiming: set[str] = field(default_factory=set)
    """Tokens of claims that this operator has not had an answer to."""
    sizes: dict[str, Sizes] = field(default_factory=dict)
    """What attempts proved to need, by name of the job type."""
    away: dict[str, str] = field(default_factory=dict)
    """Graph stores that do not answer as they should -> why, one sentence. While there is one, nothing is claimed."""
    undelivered: int = 0
    """Records in the outbox that a graph store has yet to accept."""
    closing: bool = False
    """The JobQueue was deleted, or the operator is draining: claimed jobs are given back, not launched."""
    ending: bool = False
    """And its attempts are told to end: what gives them back says nothing of them, and counts against no cap."""

    def __post_init__(self) -> None:
        """Connect the queue."""
        self._terms: dict[str, str] = {}
        self.sizes |= self.served.sizes
        self.describe(self.served)

    def describe(self, served: Served) -> None:
        """Take over a description of the same queue: for the next claims, and for the connection."""
        old, server, self.served = self.served.spec, self.served.server, served
        self._terms = {}
        if served.spec != old:
            self.breaker.reconsider()
        if served.server is not server:
            self.redis_fault = None
        self.sizes = {name: size for name, size in self.sizes.items() if same_room(old, served.spec, name)}
        self.queue: Queue = served.server.queue(served.spec.queue, served.spec.prefix)
        names = served.spec.job_type
        self.unknown_names = {name: at for name, at in self.unknown_names.items() if names(name) is None}

    @property
    def name(self) -> str:
        """Name of the JobQueue."""
        return self.served.name

    @property
    def token_prefix(self) -> str:
        """What the tokens of this installation begin with."""
        return f"{TOKEN_PREFIX}{self.served.installation}/"

    @property
    def lock_ms(self) -> int:
        """Lock time of new claims."""
        return int(self.served.spec.lock_duration.total_seconds() * 1000)

    def owner(self, pb: str | None) -> str | None:
        """Token of ours in *pb*; None: another installation's or claimer's."""
        return pb.partition("#")[0] if pb is not None and pb.startswith(self.token_prefix) else None

    def has(self, attempt: Attempt) -> bool:
        """Whether *attempt* is of this installation and of the queue that the JobQueue names today."""
        spec = self.served.spec
        return self.owner(attempt.token) is not None and (attempt.queue, attempt.prefix) == (spec.queue, spec.prefix)

    def attempt(self, job: Job | Location, token: str) -> Attempt:
        """Describe an attempt by today's spec; an attempt with a KubeJob carries its own description."""
        spec = self.served.spec
        job_id = job.id if isinstance(job, Job) else job.job_id
        job_type = spec.job_type(job.name)
        settings = self._settings(job_type)
        if job_type is not None:
            learned = self.sizes.get(job_type.name, Sizes())
            settings = sized(settings, learned.larger(Sizes.of(job.bullpen.get("sizes"))))
        added_ms, previous = _origin(job)
        return Attempt(
            self.name, spec.prefix, spec.queue, job_id, job.name, token, job.atm + 1, settings, added_ms, previous
        )  # fmt: skip

    def _settings(self, job_type: JobType | None) -> AttemptSettings:
        if job_type is None:
            return AttemptSettings(lock_ms=self.lock_ms, graph_timeout_s=min(GRAPH_TIMEOUT_S, self.lock_ms / 1000))
        settings = job_type.attempt_settings(self.served.spec.lock_duration)
        return replace(settings, terms=self._terms_of(job_type))

    def _terms_of(self, job_type: JobType | None) -> str:
        if job_type is None:
            return ""
        if job_type.name not in self._terms:
            self._terms[job_type.name] = job_type.terms
        return self._terms[job_type.name]

    def outdated(self, attempt: Attempt) -> bool:
        """Whether the job type was changed since *attempt* was launched; what runs on after its JobQueue never is."""
        terms = attempt.settings.terms
        return bool(terms) and not self.closing and terms != self._terms_of(self.served.spec.job_type(attempt.job_name))

    def learn(self, attempt: Attempt, sizes: Sizes) -> None:
        """Remember what an attempt proved to need, for the next jobs of its type."""
        job_type = self.served.spec.job_type(attempt.job_name)
        if job_type is not None and sizes != Sizes():
            self.sizes[job_type.name] = sizes.larger(self.sizes.get(job_type.name, Sizes()))

    def redis_failed(self, fault: RedisFaultError) -> None:
        """Remember a fault of Redis; the words of one that goes on stay as they were."""
        if self.redis_fault is None or _kind(self.redis_fault) != _kind(fault):
            self.redis_fault = fault

    def breaker_changed(self, change: Change | None) -> None:
        """Report that the breaker opened or closed."""
        if change is Change.OPENED:
            self.tell(EventKind.DEGRADED, code="breaker", sentence=self.breaker.sentence)
        elif change is Change.CLOSED:
            self.tell(EventKind.RECOVERED, code="breaker", sentence="jobs are claimed again")

    def store_of(self, graph: str, job_name: str) -> str:
        """Name the store that takes records for *graph*: the job type's of today if that was left; empty: none does."""
        if graph in self.served.stores:
            return graph
        job_type = self.served.spec.job_type(job_name)
        name = job_type.graph.secret_ref.name if job_type is not None and job_type.graph is not None else ""
        return name if graph and name in self.served.stores else ""

    def store_away(self, name: str, why: str) -> None:
        """Claim nothing until the store *name* is back; *why* is one sentence."""
        told = bool(self.away)
        self.away[name] = why
        if not told:
            self.tell(EventKind.DEGRADED, code="store", sentence=self.away_sentence)

    def store_back(self, name: str) -> None:
        """The store *name* answers as it should."""
        if self.away.pop(name, None) is not None and not self.away:
            self.tell(EventKind.RECOVERED, code="store", sentence="the graph store answers; jobs are claimed again")

    @property
    def away_sentence(self) -> str:
        """What people read while a store is away; empty while none is."""
        why = next(iter(self.away.values()), "")
        return f"{why}; no job is claimed until it is back" if why else ""

    def tell(self, kind: EventKind, attempt: Attempt | None = None, **details: str) -> None:
        """Report a transition."""
        about: dict[str, Any] = {"log_namespace": self.served.spec.log_namespace_or_queue, **details}
        if attempt is not None:
            about |= {"job_id": safe(attempt.job_id), "job_name": safe(attempt.job_name)}
            about |= {"token": attempt.token, "attempt": attempt.number}
        self.report(Event(kind, self.name, **about))


def _kind(fault: RedisFaultError) -> str:
    return fault.kind if isinstance(fault, RedisRefusedError) else ""


def _origin(job: Job | Location) -> tuple[int, str]:
    """When the job was added, and which attempt of ours had it before, as far as the hash tells."""
    mover = job.bullpen.get("t")
    previous = mover.partition("#")[0] if isinstance(mover, str) and mover.startswith(TOKEN_PREFIX) else ""
    return job.timestamp if isinstance(job, Job) else 0, previous
