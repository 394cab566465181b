"""What the operator counts: transitions as they come, queues and slots as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from bullpen_operator.engine import QueueStatus
from bullpen_operator.events import Event, EventKind


class Metrics:
    """One registry; labels are JobQueues and codes of ours, never job ids."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._claims = self._counter("claims", "Jobs claimed")
        self._settled = self._counter("settled", "Attempts the operator finished, by outcome", "outcome")
        self._given_back = self._counter("given_back", "Attempts given back without spending one, by reason", "reason")
        self._drift = self._counter("drift", "Differences that the audit found between Redis and the cluster", "kind")
        self._outages = self._counter("outages", "Times that Redis, the API server or a graph store went away", "what")
        self._ready = self._gauge("ready", "1 while jobs are claimed: the condition Ready of the JobQueue")
        self._degraded = self._gauge("degraded", "1 while something is wrong: its condition Degraded")
        self._outbox = self._gauge("outbox", "Records of ended attempts that a graph store has yet to accept")
        self._slots = self._gauge("slots", "Places of the concurrency, by what they hold", "state")
        self._jobs = self._gauge("jobs", "Jobs of the queue, by BullMQ's state", "state")
        self._requests = Counter(
            "bullpen_kube_requests",
            "Requests to the API server but for kopf's watch of JobQueues",
            ["verb", "resource", "code"],
            registry=self.registry,
        )
        self._stale = Gauge(
            "bullpen_loop_age_seconds", "Seconds since a loop last turned", ["loop"], registry=self.registry
        )

    def report(self, event: Event) -> None:
        """Count a transition."""
        match event.kind:
            case EventKind.CLAIMED:
                self._claims.labels(event.jobqueue).inc()
            case EventKind.SETTLED:
                self._settled.labels(event.jobqueue, event.outcome).inc()
            case EventKind.GIVEN_BACK:
                self._given_back.labels(event.jobqueue, event.code).inc()
            case EventKind.DRIFT:
                self._drift.labels(event.jobqueue, event.code).inc()
            case EventKind.DEGRADED if event.code == "store":
                self._outages.labels(event.jobqueue, event.code).inc()
            case EventKind.AWAY:
                self._outages.labels(event.jobqueue, event.code).inc()

    def judge(self, verdicts: Mapping[str, tuple[bool, bool]]) -> None:
        """Show of every JobQueue whether it is ready and whether it is degraded; one that is gone is shown no more."""
        for gauge in (self._ready, self._degraded):
            gauge.clear()
        for name, (ready, degraded) in verdicts.items():
            self._ready.labels(name).set(ready)
            self._degraded.labels(name).set(degraded)

    def show(self, queues: Iterable[QueueStatus]) -> None:
        """Set the gauges of what is served to what is."""
        for gauge in (self._outbox, self._slots, self._jobs):
            gauge.clear()
        for queue in queues:
            self._outbox.labels(queue.name).set(queue.undelivered)
            free = max(0, queue.concurrency - queue.pending - queue.running)
            for state, count in (("pending", queue.pending), ("running", queue.running), ("free", free)):
                self._slots.labels(queue.name, state).set(count)
            for state, count in queue.counts.items():
                self._jobs.labels(queue.name, state).set(count)

    def requested(self, verb: str, resource: str, code: str) -> None:
        """Count a request to the API server; *code*: HTTP's status, `none` without an answer."""
        self._requests.labels(verb, resource, code).inc()

    def loop(self, name: str, age_s: float) -> None:
        """Set the age of a loop."""
        self._stale.labels(name).set(age_s)

    def text(self) -> bytes:
        """Render in Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"bullpen_{name}", text, ["jobqueue", *labels], registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"bullpen_{name}", text, ["jobqueue", *labels], registry=self.registry)
