"""The JobQueue: which queue is served, and how its job types run. CRD, docs and `bullpen local` read this model."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel

from bullpen_operator.seen import AttemptSettings

API_GROUP: Final = "bullpen.dev"
API_VERSION: Final = "bullpen.dev/v1alpha1"
KIND: Final = "JobQueue"
ANY_NAME: Final = "*"
GRAPH_TIMEOUT_S: Final = 60.0
"""Longest graph write of an attempt; never longer than its lock, or a write could outlive what fences it."""

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_FACTORS: Final = {
    None: 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40,
}  # fmt: skip


def parse_duration(value: object) -> object:
    """Read `1h30m`, `45s`, `500ms`; raises ValueError for other text and leaves other types to pydantic."""
    if not isinstance(value, str):
        if isinstance(value, timedelta):
            return value
        raise ValueError(f"expected a duration such as 30s, 10m or 1h30m, got {value!r}")
    match = _DURATION.fullmatch(value)
    if not value or match is None:
        raise ValueError(f"expected a duration such as 30s, 10m or 1h30m, got {value[:40]!r}")
    hours, minutes, seconds, milliseconds = (int(part or 0) for part in match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds, milliseconds=milliseconds)


def quantity(text: str) -> float:
    """Value of a Kubernetes quantity (`500m` -> 0.5, `64Mi` -> 67108864); raises ValueError."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a quantity such as 500m, 2 or 512Mi, got {text[:40]!r}")
    return float(match[1]) * _FACTORS[match[2]]


def _checked_quantity(value: object) -> object:
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if not isinstance(text, str):
        raise ValueError(f"expected a quantity such as 500m, 2 or 512Mi, got {value!r}")
    if quantity(text) <= 0:
        raise ValueError(f"expected a quantity above 0, got {text!r}")
    return text


Duration = Annotated[timedelta, BeforeValidator(parse_duration), Field(gt=timedelta(0))]
Quantity = Annotated[str, BeforeValidator(_checked_quantity), WithJsonSchema({"type": "string", "format": "quantity"})]
NonEmpty = Annotated[str, Field(min_length=1, max_length=253)]
ObjectName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, use_attribute_docstrings=True
    )


class SecretRef(_Model):
    """A Secret of the JobQueue's namespace, by name."""

    name: ObjectName


class Redis(_Model):
    """Where the queue lives: a Secret with keys `url` (redis://, rediss://) and, if need be, `ca.crt`."""

    secret_ref: SecretRef


class Graph(_Model):
    """Where results go: a Secret with keys `url` and, if need be, `updateUrl`, `username`, `password`."""

    secret_ref: SecretRef


class RateLimit(_Model):
    """At most `max` claims in `duration`, over all clients of the queue (BullMQ's limiter)."""

    max: Annotated[int, Field(ge=1)]
    duration: Duration


class Limits(_Model):
    """Amounts of a container: requests or limits."""

    cpu: Quantity | None = None
    memory: Quantity | None = None
    ephemeral_storage: Annotated[Quantity | None, Field(alias="ephemeral-storage")] = None


class Resources(_Model):
    """What an attempt may use. Limits hold on a laptop too (memory, cpu)."""

    requests: Limits = Limits()
    limits: Limits = Limits()


class GiveBack(_Model):
    """How often and how soon an attempt that was not the job's fault is given back, before the job fails."""

    max: Annotated[int, Field(ge=0, le=1000)] = 20
    delay: Duration = timedelta(seconds=5)


class KeyRef(_Model):
    """One key of a Secret or ConfigMap."""

    name: ObjectName
    key: NonEmpty


class ValueFrom(_Model):
    """Where a variable's value comes from: exactly one of the two."""

    secret_key_ref: KeyRef | None = None
    config_map_key_ref: KeyRef | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.secret_key_ref is None) == (self.config_map_key_ref is None):
            raise ValueError("expected exactly one of secretKeyRef and configMapKeyRef")
        return self


class EnvVar(_Model):
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


class _JobSettings(_Model):
    """What a job type and the defaults of all job types have in common."""

    image: NonEmpty | None = None
    runner: Literal["managed", "plain"] = "managed"
    """`managed`: the image holds Bullpen's runner. `plain`: any image; payload, progress and result are files."""
    processor: NonEmpty | None = None
    """Name of the entry point; the job type's own name when it is left out."""
    settings: dict[str, Any] = {}
    """Handed to the processor (base IRIs, caps); visible in the pod's spec, so never a secret."""
    resources: Resources = Resources()
    timeout: Duration = timedelta(hours=1)
    start_timeout: Duration = timedelta(minutes=10)
    on_unreachable: Literal["wait", "giveBack"] = "wait"
    """Of plain jobs whose node is silent: nothing of theirs is fenced, so they run again when the pod or node is gone;
    `giveBack`: as soon as the lock ran out, as managed jobs do."""
    permanent_exit_codes: Annotated[tuple[Annotated[int, Field(ge=1, le=255)], ...], Field(max_length=50)] = ()
    give_back: GiveBack = GiveBack()
    pod_template: dict[str, Any] = {}
    """Strategic merge patch of the pod template."""
    env: Annotated[tuple[EnvVar, ...], Field(max_length=200)] = ()
    graph: Graph | None = None


_MANAGED_ONLY: Final = ("processor", "settings", "graph")
"""What plain jobs do not inherit: `defaults` may say it for the managed ones beside them."""


class Defaults(_JobSettings):
    """What holds for every job type that does not say otherwise."""


class JobType(_JobSettings):
    """How jobs of one name run; `*` stands for every name that no other job type has."""

    name: NonEmpty

    def attempt_settings(self, lock: timedelta) -> AttemptSettings:
        """Freeze what settling an attempt will need."""
        limits = self.resources.limits
        return AttemptSettings(
            lock_ms=_milliseconds(lock),
            timeout_s=self.timeout.total_seconds(),
            start_timeout_s=self.start_timeout.total_seconds(),
            graph_timeout_s=min(GRAPH_TIMEOUT_S, lock.total_seconds()),
            give_back_max=self.give_back.max,
            give_back_delay_ms=_milliseconds(self.give_back.delay),
            permanent_exit_codes=self.permanent_exit_codes,
            graph=self.graph.secret_ref.name if self.graph is not None else "",
            memory_limit_bytes=None if limits.memory is None else int(quantity(limits.memory)),
            cpu_limit=None if limits.cpu is None else quantity(limits.cpu),
            plain=self.runner == "plain",
            wait_for_unreachable=self.runner == "plain" and self.on_unreachable == "wait",
        )

    def complaint(self, own: JobType) -> str:
        """Say what does not fit its runner; *own* is the job type without the defaults. Empty: all does."""
        said = own.model_fields_set
        if self.runner == "managed":
            return "sets onUnreachable, which is for runner: plain; remove it" if "on_unreachable" in said else ""
        if self.image is None:
            return "has runner: plain and no image; name the image that does the job"
        misplaced = next((name for name in _MANAGED_ONLY if name in said), "")
        return misplaced and f"has runner: plain and {misplaced}, which only a managed runner reads; remove it"


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)


class JobQueueSpec(_Model):
    """One BullMQ queue and the job types that are served on it."""

    queue: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^:\s]+$")]
    """Name of the BullMQ queue; BullMQ itself refuses a colon."""
    prefix: NonEmpty = "bull"
    redis: Redis
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 10
    rate_limit: RateLimit | None = None
    suspend: bool = False
    unknown_jobs: Literal["hold", "fail"] = "hold"
    lock_duration: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(seconds=60)
    log_namespace: Annotated[str | None, Field(min_length=1, max_length=100, pattern=r"^\S+$")] = None
    """`ns` of what the operator tells a log server (LOGS_WS_URL) of the attempts; the queue's name if left out."""
    defaults: Defaults = Defaults()
    job_types: Annotated[tuple[JobType, ...], Field(min_length=1, max_length=100)]

    @model_validator(mode="after")
    def _distinct_names(self) -> Self:
        names = [job_type.name for job_type in self.job_types]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"job type {twice[0]!r} is listed twice")
        return self

    @property
    def log_namespace_or_queue(self) -> str:
        """What the attempts are told under."""
        return self.log_namespace or self.queue

    @model_validator(mode="after")
    def _fitting_runners(self) -> Self:
        for own in self.job_types:
            complaint = self._with_defaults(own).complaint(own)
            if complaint:
                raise ValueError(f"job type {own.name!r} {complaint}")
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
