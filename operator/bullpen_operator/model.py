"""The JobQueue: which queue is served, and how its job types run. CRD, docs and `bullpen local` read this model."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bullpen_operator.fields import Duration, Model, NonEmpty, ObjectName, milliseconds, quantity
from bullpen_operator.resources import Escalation, Resources, allowance, complaint
from bullpen_operator.seen import AttemptSettings

API_GROUP: Final = "bullpen.dev"
API_VERSION: Final = "bullpen.dev/v1alpha1"
KIND: Final = "JobQueue"
ANY_NAME: Final = "*"
GRAPH_TIMEOUT_S: Final = 60.0
"""Longest graph write of an attempt; never longer than its lock, or a write could outlive what fences it."""


class SecretRef(Model):
    """A Secret of the JobQueue's namespace, by name."""

    name: ObjectName


class Redis(Model):
    """Where the queue lives: a Secret with keys `url` (redis://, rediss://) and, if need be, `ca.crt`."""

    secret_ref: SecretRef


class Graph(Model):
    """Where results go: a Secret with keys `url` and, if need be, `updateUrl`, `username`, `password`."""

    secret_ref: SecretRef


class RateLimit(Model):
    """At most `max` claims in `duration`, over all clients of the queue (BullMQ's limiter)."""

    max: Annotated[int, Field(ge=1)]
    """Claims in each `duration`."""
    duration: Duration
    """Length of the window."""


class GiveBack(Model):
    """How often and how soon an attempt that was not the job's fault is given back, before the job fails."""

    max: Annotated[int, Field(ge=0, le=1000)] = 20
    """Give-backs until the job fails; faults of the configuration and outages of a store do not count."""
    delay: Duration = timedelta(seconds=5)
    """Until it may run again; doubles with each give-back, up to 10 minutes."""


class KeyRef(Model):
    """One key of a Secret or ConfigMap."""

    name: ObjectName
    key: NonEmpty
    optional: bool | None = None
    """Whether a pod starts without it too; then the variable is not there."""


class ValueFrom(Model):
    """Where a variable's value comes from: exactly one of the two."""

    secret_key_ref: KeyRef | None = None
    config_map_key_ref: KeyRef | None = None

    @property
    def optional(self) -> bool:
        """Whether a runner may be without it."""
        return any(ref is not None and ref.optional is True for ref in (self.secret_key_ref, self.config_map_key_ref))

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.secret_key_ref is None) == (self.config_map_key_ref is None):
            raise ValueError("expected exactly one of secretKeyRef and configMapKeyRef")
        return self


class EnvVar(Model):
    """A variable of the runner's environment."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=253)]
    value: str | None = None
    value_from: ValueFrom | None = None

    @model_validator(mode="after")
    def _one_value(self) -> Self:
        if (self.value is None) == (self.value_from is None):
            raise ValueError("expected exactly one of value and valueFrom")
        if self.name.startswith("BULLPEN_"):
            raise ValueError("names that start with BULLPEN_ are the operator's own; choose another")
        return self


class _JobSettings(Model):
    """What a job type and the defaults of all job types have in common."""

    image: NonEmpty | None = None
    """The chart's `runner.image` when it is left out."""
    runner: Literal["managed", "plain"] = "managed"
    """`managed`: the image holds Bullpen's runner. `plain`: any image; payload, progress and result are files."""
    processor: NonEmpty | None = None
    """Name of the entry point; the job type's own name when it is left out."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Handed to the processor (base IRIs, caps); visible in the pod's spec, so never a secret."""
    resources: Resources = Resources()
    """Requests and limits of the container that runs the job; a job type's replace those of `defaults` whole."""
    workload: Literal["Job", "Pod"] = "Job"
    """What an attempt is in the cluster: a Kubernetes Job with its pod, or a pod alone, which starts many times as many
    per second (docs/kubernetes.md)."""
    timeout: Duration = timedelta(hours=1)
    """Longest time of the processor."""
    on_timeout: Literal["retry", "fail"] = "retry"
    """`retry`: counted, the producer's attempts decide; `fail`: for good, whatever attempts are left."""
    on_out_of_memory: Escalation | None = None
    """Raises `resources.limits.memory` after a kill for memory, for the job's next attempt and for the next jobs."""
    on_out_of_disk: Escalation | None = None
    """The same for `resources.limits.ephemeral-storage`, after an eviction for that limit."""
    start_timeout: Duration = timedelta(minutes=10)
    """Longest wait for the pod to run and take its job; then the job is given back."""
    on_unreachable: Literal["wait", "giveBack"] = "wait"
    """Of plain jobs whose node is silent: nothing of theirs is fenced, so they run again when the pod or node is gone;
    `giveBack`: as soon as the lock ran out, as managed jobs do."""
    permanent_exit_codes: Annotated[tuple[Annotated[int, Field(ge=1, le=255)], ...], Field(max_length=50)] = ()
    """Exit codes of the main container that fail the job for good, whatever attempts are left."""
    give_back: GiveBack = GiveBack()
    """What becomes of attempts that end without being the job's fault."""
    pod_template: dict[str, Any] = Field(default_factory=dict)
    """Strategic merge patch of the pod template."""
    env: Annotated[tuple[EnvVar, ...], Field(max_length=200)] = ()
    """Variables of the runner's environment; never a secret's value, refer to one."""
    graph: Graph | None = None
    """Where results go; left out: the processor's results are not stored."""


_MANAGED_ONLY: Final = ("processor", "settings", "graph")
"""What plain jobs do not inherit: `defaults` may say it for the managed ones beside them."""


class Defaults(_JobSettings):
    """What holds for every job type that does not say otherwise."""


class JobType(_JobSettings):
    """How jobs of one name run; `*` stands for every name that no other job type has."""

    name: NonEmpty
    """The job's name in BullMQ."""

    def attempt_settings(self, lock: timedelta) -> AttemptSettings:
        """Freeze what settling an attempt will need."""
        limits = self.resources.limits
        return AttemptSettings(
            lock_ms=milliseconds(lock),
            timeout_s=self.timeout.total_seconds(),
            start_timeout_s=self.start_timeout.total_seconds(),
            graph_timeout_s=min(GRAPH_TIMEOUT_S, lock.total_seconds()),
            give_back_max=self.give_back.max,
            give_back_delay_ms=milliseconds(self.give_back.delay),
            permanent_exit_codes=self.permanent_exit_codes,
            on_timeout=self.on_timeout,
            memory=allowance(limits.memory, self.on_out_of_memory),
            disk=allowance(limits.ephemeral_storage, self.on_out_of_disk),
            graph=self.graph.secret_ref.name if self.graph is not None else "",
            cpu_limit=None if limits.cpu is None else quantity(limits.cpu),
            plain=self.runner == "plain",
            wait_for_unreachable=self.runner == "plain" and self.on_unreachable == "wait",
        )

    @property
    def terms(self) -> str:
        """Digest of all that an attempt is launched with: another one means that the job type was changed."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    def misfit(self, own: JobType) -> str:
        """Say what does not fit its runner; *own* is the job type without the defaults. Empty: all does."""
        said = own.model_fields_set
        if self.runner == "managed":
            return "sets onUnreachable, which is for runner: plain; remove it" if "on_unreachable" in said else ""
        if self.image is None:
            return "has runner: plain and no image; name the image that does the job"
        misplaced = next((name for name in _MANAGED_ONLY if name in said), "")
        return misplaced and f"has runner: plain and {misplaced}, which only a managed runner reads; remove it"


class JobQueueSpec(Model):
    """One BullMQ queue and the job types that are served on it."""

    queue: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^:\s]+$")]
    """Name of the BullMQ queue; BullMQ itself refuses a colon."""
    prefix: NonEmpty = "bull"
    """BullMQ's prefix of all its keys."""
    redis: Redis
    """Where the queue lives."""
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 10
    """Most attempts at once, whether they run or wait to."""
    max_pending: Annotated[int | None, Field(ge=1)] = None
    """Claim no more while so many pods can't start (no node takes them, a quota is used up, ...)."""
    rate_limit: RateLimit | None = None
    """BullMQ's limiter over all clients of the queue; no limit when it is left out."""
    suspend: bool = False
    """Claim nothing; what runs, runs on."""
    unknown_jobs: Literal["hold", "fail"] = "hold"
    """Jobs whose name no job type has: `hold` gives them back until one has, `fail` fails them."""
    lock_duration: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(seconds=60)
    """Time after which an attempt that stopped renewing its lock is given up."""
    log_namespace: Annotated[str | None, Field(min_length=1, max_length=100, pattern=r"^\S+$")] = None
    """`ns` of what the operator tells a log server (LOGS_WS_URL) of the attempts; the queue's name if left out."""
    defaults: Defaults = Defaults()
    """What job types inherit, field by field."""
    job_types: Annotated[tuple[JobType, ...], Field(min_length=1, max_length=100)]
    """How jobs run, by their name."""

    @model_validator(mode="after")
    def _distinct_names(self) -> Self:
        names = [job_type.name for job_type in self.job_types]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"job type {twice[0]!r} is listed twice")
        return self

    @model_validator(mode="after")
    def _room_to_grow(self) -> Self:
        for own in self.job_types:
            whole = self._with_defaults(own)
            trouble = complaint(whole.resources, whole.on_out_of_memory, whole.on_out_of_disk)
            if trouble:
                raise ValueError(f"job type {own.name!r}: {trouble}")
        return self

    @property
    def log_namespace_or_queue(self) -> str:
        """What the attempts are told under."""
        return self.log_namespace or self.queue

    @model_validator(mode="after")
    def _fitting_runners(self) -> Self:
        for own in self.job_types:
            misfit = self._with_defaults(own).misfit(own)
            if misfit:
                raise ValueError(f"job type {own.name!r} {misfit}")
        return self

    def job_type(self, name: str) -> JobType | None:
        """Return the job type that serves jobs of this name, with the defaults filled in; None: no one does."""
        by_name = {job_type.name: job_type for job_type in self.job_types}
        found = by_name.get(name) or by_name.get(ANY_NAME)
        return None if found is None else self._with_defaults(found)

    def graph_secrets(self) -> tuple[str, ...]:
        """Names of the Secrets of the graph stores that job types write to, each once."""
        graphs = (self._with_defaults(job_type).graph for job_type in self.job_types)
        return tuple(dict.fromkeys(graph.secret_ref.name for graph in graphs if graph is not None))

    def _with_defaults(self, job_type: JobType) -> JobType:
        inherited = {name: getattr(self.defaults, name) for name in self.defaults.model_fields_set}
        own = {name: getattr(job_type, name) for name in job_type.model_fields_set}
        if own.get("runner", inherited.get("runner")) == "plain":
            inherited = {name: value for name, value in inherited.items() if name not in _MANAGED_ONLY}
        return JobType.model_construct(**{**inherited, **own})


class Metadata(BaseModel):
    """The part of an object's metadata that Bullpen reads; the rest is Kubernetes' business."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: ObjectName
    namespace: ObjectName | None = None
    uid: str = ""
    generation: int = 0


class JobQueue(BaseModel):
    """The custom resource as people write it."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    api_version: Annotated[Literal["bullpen.dev/v1alpha1"], Field(alias="apiVersion")]
    kind: Literal["JobQueue"]
    metadata: Metadata
    spec: JobQueueSpec
