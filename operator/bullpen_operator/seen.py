"""What was seen of an attempt: filled in by a launcher, judged by classify.py; the same for pod and process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class PodPhase(StrEnum):
    """status.phase of a pod; a local process is Pending, Running, Succeeded or Failed."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Terminated:
    """The kubelet's word on the main container (locally exit.json): it has ended."""

    exit_code: int
    reason: str = ""
    """`Completed`, `Error`, `OOMKilled`, `DeadlineExceeded` (local), `ContainerStatusUnknown`, `StartError` ..."""
    message: str = ""
    """The termination message, untrusted."""
    signal: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    """The kubelet's times, in whole seconds."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why the main (or an init) container has not started."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class PodSeen:
    """One pod of an attempt. `uid` is half of its fence."""

    uid: str
    name: str = ""
    phase: PodPhase = PodPhase.PENDING
    reason: str = ""
    """status.reason: `Evicted`, `NodeLost`, `OutOfcpu`, `DeadlineExceeded` ..."""
    message: str = ""
    node: str = ""
    node_ready: bool | None = None
    """None: not scheduled, or nothing is known of the node."""
    node_gone: bool = False
    deleting: bool = False
    """It has a deletionTimestamp: a reason, not an end."""
    disruption: str = ""
    """Reason of condition DisruptionTarget while it is true: `EvictionByEvictionAPI`, `DeletionByTaintManager` ..."""
    unschedulable: str = ""
    """Message of condition PodScheduled while it is false."""
    waiting: Waiting | None = None
    started: bool = False
    """The main container has run at some time."""
    terminated: Terminated | None = None
    init_terminated: Terminated | None = None
    """An init container (no native sidecar) that ended with a code other than 0."""
    image: str = ""
    """Of the main container, as the JobQueue or its chart names it."""
    image_digest: str = ""
    """`sha256:...` of what was pulled."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    """Of the main container."""
    memory_peak_bytes: int | None = None
    cpu_seconds: float | None = None
    """What it used, where the launcher measures that: locally."""
    fetch_failed: bool = False
    """It is the injected one of a plain pod."""
    words_due: bool = False
    """Of a plain pod: its sidecar may still say what the main container returned."""
    returned: str = ""
    """Of a plain pod: the sidecar's termination message, what the main container returned."""
    told_at: datetime | None = None
    """When it was first told to end: by a deletion, a disruption, its deadline."""

    @property
    def ended(self) -> bool:
        """The kubelet said that the main container terminated, or that it never will start (phase Failed).

        A plain pod's sidecar speaks after that; what it says belongs to the end.
        """
        if self.terminated is not None:
            return not self.words_due
        return self.phase is PodPhase.FAILED and not self.started and not self.disrupted_by_pod_gc

    @property
    def disrupted_by_pod_gc(self) -> bool:
        """PodGC sets phase Failed itself: that is not the kubelet's word."""
        return self.disruption == "DeletionByPodGC"


@dataclass(frozen=True, slots=True)
class Condition:
    """A true condition of a KubeJob: `FailureTarget`, `Failed`, `Suspended` ..."""

    type: str
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """A warning of the cluster's about an attempt: a Kubernetes Event of its KubeJob or pod."""

    reason: str
    """`FailedCreate`, `FailedMount`, `FailedAttachVolume` ..."""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much memory or disk an attempt has, in bytes, and how that grows: times `factor`, up to `max`."""

    limit: int = 0
    """0: no limit."""
    factor: float = 1.0
    max: int = 0
    """0: it does not grow."""


@dataclass(frozen=True, slots=True)
class AttemptSettings:
    """What settling needs of the job type, frozen at launch: a changed JobQueue does not touch it."""

    lock_ms: int = 60_000
    timeout_s: float = 3600.0
    start_timeout_s: float = 600.0
    graph_timeout_s: float = 60.0
    give_back_max: int = 20
    give_back_delay_ms: int = 5_000
    permanent_exit_codes: tuple[int, ...] = ()
    on_timeout: str = "retry"
    """`retry` or `fail`."""
    memory: Allowance = Allowance()
    disk: Allowance = Allowance()
    terms: str = ""
    """Digest of the job type that it was launched for; empty: an operator launched it that did not say."""
    graph: str = ""
    """Name of the Secret of the graph store that gets the results; empty: there are none."""
    cpu_limit: float | None = None
    """Cores."""
    plain: bool = False
    """Its main container is the user's own: the operator settles by its exit code and by what the sidecar says."""
    wait_for_unreachable: bool = False
    """It is given back only when its pod, or the pod's node, is confirmed gone."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One execution of a job: what its claim fixed. Exact ids, as the producer wrote them."""

    jobqueue: str
    """`<namespace>/<name>` of the JobQueue; locally `local/<name>`."""
    prefix: str
    queue: str
    job_id: str
    job_name: str
    token: str
    """T of the protocol: `bullpen/<installation>/<uuid>`."""
    number: int = 1
    """attemptsMade + 1 at the claim; for people, never for identity."""
    settings: AttemptSettings = field(default_factory=AttemptSettings)
    added_ms: int = 0
    """The job's own `timestamp`: with its id it tells the job from all that ever had this id."""
    previous: str = ""
    """Token of the attempt that had the job before; empty: none of ours."""

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Attempt:
        """Read what `asdict` made of one; what an operator before this one did not write stays at its default.

        Raises TypeError, KeyError, ValueError or AttributeError for anything else.
        """
        settings = dict(fields["settings"])
        settings["permanent_exit_codes"] = tuple(settings["permanent_exit_codes"])
        settings |= {name: Allowance(**settings[name]) for name in ("memory", "disk") if name in settings}
        return cls(**{**fields, "settings": AttemptSettings(**settings)})


@dataclass(frozen=True, slots=True)
class KubeJobSeen:
    """One attempt as its launcher knows it: a KubeJob and its pods, or a folder and its process."""

    name: str
    attempt: Attempt
    created_at: datetime
    recorded: bool = False
    deleting: bool = False
    suspended: bool = False
    conditions: tuple[Condition, ...] = ()
    pods: tuple[PodSeen, ...] = ()
    warnings: tuple[Told, ...] = ()
    """Newest first; asked for only where nothing else says why it waits."""
    bare: bool = False
    """It is a pod without a KubeJob (`workload: Pod`), which goes by the KubeJob's name."""
    recorded_at: datetime | None = None
    """When, of a bare one: nobody but us removes those."""

    def pod(self, uid: str) -> PodSeen | None:
        """Return the pod with this uid."""
        return next((pod for pod in self.pods if pod.uid == uid), None)
