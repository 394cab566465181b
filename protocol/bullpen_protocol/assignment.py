"""What an operator tells a runner, and what it tells back besides Redis: exit code, termination message."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Final

VALUE_LIMIT_BYTES: Final = 3 * 1024
"""A termination message may hold 4,096 bytes (Kubernetes); a value above this is left out of it."""

RENEWALS_PER_LOCK: Final = 4
"""A lock of L is renewed every L/4, by the operator until a runner has bound the attempt, then by that runner."""

REASON_LIMIT: Final = 512
"""Characters of a reason that a termination message keeps."""


class ExitCode(IntEnum):
    """How a runner ends. The only table of exit codes; ended.py reads it, the docs show it."""

    COMPLETED = 0
    """The job is completed in Redis."""
    FAILED = 1
    """The attempt failed for a reason of its own and the runner has told Redis so."""
    BAD_ASSIGNMENT = 64
    """The environment of the runner is wrong: a fault of the configuration, never of the job."""
    SOFTWARE = 70
    """The runner itself broke: given back, with the traceback in its log."""
    GIVE_BACK = 75
    """Redis or the graph store stayed away until the deadline: no attempt is spent."""
    SUPERSEDED = 76
    """The fence belongs to somebody else, or the job is gone: nothing more was written."""
    OUT_OF_MEMORY = 137
    """The kernel killed the child (or the runner) for memory."""
    TERMINATED = 143
    """SIGTERM came before anything was persisted."""


class RunnerOutcome(StrEnum):
    """What a runner says it came to, written before the finish."""

    COMPLETED = "completed"
    FAILED = "failed"
    UNRECOVERABLE = "unrecoverable"
    GIVE_BACK = "give-back"
    STORE_AWAY = "store-away"
    """Given back, because the graph store stayed away until the deadline; GIVE_BACK says the same of Redis."""
    SUPERSEDED = "superseded"
    OOM = "oom"
    TERMINATED = "terminated"


class AssignmentError(ValueError):
    """The environment does not hold an assignment: one sentence says which variable and what was expected."""


@dataclass(frozen=True, slots=True)
class TerminationMessage:
    """The runner's last words, at most 4 KiB of JSON in the container's termination message.

    `has_value` tells a value of null from a value that was too large to be carried. `recorded`: the attempt's record is
    in the graph; otherwise it is for the operator to write, where the job type has a graph.
    """

    outcome: RunnerOutcome
    reason: str = ""
    value: Any = None
    has_value: bool = False
    recorded: bool = False

    @property
    def fits(self) -> bool:
        """Whether the value has room in the message."""
        return self.has_value and len(json.dumps(self.value).encode()) <= VALUE_LIMIT_BYTES

    def to_text(self) -> str:
        """Render as JSON; the value is dropped when its JSON is longer than VALUE_LIMIT_BYTES."""
        body: dict[str, Any] = {"outcome": self.outcome.value, "reason": self.reason[:REASON_LIMIT]}
        if self.fits:
            body["value"] = self.value
        if self.recorded:
            body["recorded"] = True
        return json.dumps(body)

    @classmethod
    def from_text(cls, text: str) -> TerminationMessage | None:
        """Read a message back; None for anything that is not one (pods write what they like)."""
        try:
            body = json.loads(text)
            outcome = RunnerOutcome(body["outcome"])
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        reason = body.get("reason")
        recorded = body.get("recorded") is True
        return cls(outcome, str(reason or "")[:REASON_LIMIT], body.get("value"), "value" in body, recorded)


@dataclass(frozen=True, slots=True)
class Assignment:
    """All that one runner is told; the payload is never part of it.

    Durations carry their unit in the name. `settings` are the processor's own (base IRIs, caps), never a secret.
    """

    redis_url: str = field(repr=False)
    prefix: str
    queue: str
    job_id: str
    token: str
    pod_uid: str
    processor: str
    redis_ca: str | None = None
    lock_ms: int = 60_000
    timeout_s: float = 3600.0
    on_timeout: str = "retry"
    """`retry`: counted; `fail`: for good."""
    attempt: int = 1
    graph_url: str | None = None
    graph_update_url: str | None = None
    graph_username: str | None = None
    graph_password: str | None = field(default=None, repr=False)
    graph_timeout_s: float = 60.0
    image: str | None = None
    """The container image that runs, as the job type names it; None where no image does."""
    image_digest: str | None = None
    memory_limit_bytes: int | None = None
    cpu_limit_millicores: int | None = None
    termination_log: str = "/dev/termination-log"
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fence(self) -> str:
        """F of the protocol: the token bound to this very pod."""
        return f"{self.token}#{self.pod_uid}"

    def to_environment(self) -> dict[str, str]:
        """Name the variables of a runner's environment; what is None is left out."""
        environment = {}
        for name, variable in VARIABLES.items():
            value = getattr(self, name)
            if value is not None:
                environment[variable] = json.dumps(dict(value)) if name == "settings" else str(value)
        return environment

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Assignment:
        """Read and check a runner's environment; raises AssignmentError with one sentence."""
        values: dict[str, Any] = {}
        for name, variable in VARIABLES.items():
            text = environment.get(variable, "")
            if text == "":
                if name in _REQUIRED:
                    raise AssignmentError(f"{variable} is not set; the operator sets it for every attempt")
                continue
            values[name] = _parse(name, variable, text)
        return cls(**values)


VARIABLES: Final[Mapping[str, str]] = {
    "redis_url": "BULLPEN_REDIS_URL",
    "redis_ca": "BULLPEN_REDIS_CA",
    "prefix": "BULLPEN_PREFIX",
    "queue": "BULLPEN_QUEUE",
    "job_id": "BULLPEN_JOB_ID",
    "token": "BULLPEN_TOKEN",
    "pod_uid": "BULLPEN_POD_UID",
    "processor": "BULLPEN_PROCESSOR",
    "lock_ms": "BULLPEN_LOCK_MS",
    "timeout_s": "BULLPEN_TIMEOUT_S",
    "on_timeout": "BULLPEN_ON_TIMEOUT",
    "attempt": "BULLPEN_ATTEMPT",
    "graph_url": "BULLPEN_GRAPH_URL",
    "graph_update_url": "BULLPEN_GRAPH_UPDATE_URL",
    "graph_username": "BULLPEN_GRAPH_USERNAME",
    "graph_password": "BULLPEN_GRAPH_PASSWORD",
    "graph_timeout_s": "BULLPEN_GRAPH_TIMEOUT_S",
    "image": "BULLPEN_IMAGE",
    "image_digest": "BULLPEN_IMAGE_DIGEST",
    "memory_limit_bytes": "BULLPEN_MEMORY_LIMIT_BYTES",
    "cpu_limit_millicores": "BULLPEN_CPU_LIMIT_MILLICORES",
    "termination_log": "BULLPEN_TERMINATION_LOG",
    "settings": "BULLPEN_SETTINGS",
}
"""Field of Assignment -> environment variable. Secrets among them reach a pod by secretKeyRef only."""

_REQUIRED: Final = frozenset({"redis_url", "prefix", "queue", "job_id", "token", "pod_uid", "processor"})
_NUMBERS: Final = {
    "lock_ms": int,
    "timeout_s": float,
    "attempt": int,
    "graph_timeout_s": float,
    "memory_limit_bytes": int,
    "cpu_limit_millicores": int,
}


def _parse(name: str, variable: str, text: str) -> Any:
    if name in _NUMBERS:
        return _positive(variable, text, _NUMBERS[name])
    if name == "settings":
        return _object(variable, text)
    return text


def _positive(variable: str, text: str, kind: type[int] | type[float]) -> int | float:
    try:
        number = kind(text)
    except ValueError:
        number = kind(0)
    if not 0 < number < 1e15:  # NaN and infinity fail here too
        raise AssignmentError(f"{variable} is {text[:40]!r}; expected a positive {kind.__name__}")
    return number


def _object(variable: str, text: str) -> dict[str, Any]:
    try:
        settings = json.loads(text)
    except (ValueError, RecursionError):
        settings = None
    if not isinstance(settings, dict):
        raise AssignmentError(f"{variable} is not a JSON object")
    return settings
