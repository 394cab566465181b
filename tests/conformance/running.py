"""Run recorded jobs for real: a producer of BullMQ 5.7.0 adds them, one `bullpen local` runs them, clients look."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from conformance import nvd
from conformance.asker import JobKey
from conformance.cases import QUEUES, Case, Outcome
from conformance.store import Stores
from servers.local import BullpenLocal
from servers.node import NodeClient, NodeQueue

PRODUCER: Final = "5.7.0"
"""The version that OntoWeb-PT's API server adds its jobs with."""

PATIENCE_S: Final = 180.0
"""Without any job coming to its end."""

EXPLAINED: Final = frozenset({"analyzer-writes"})
"""Queues whose values say why something that the original reports is none."""
_KEY: Final = {"NVD_API_KEY": "the-key"}
"""Of the fake NVD: fifty requests in thirty seconds."""
_UNENDED: Final = ("wait", "active", "delayed", "prioritized")


def run(cases: Mapping[str, Case], folder: Path, node: NodeClient, concurrency: int) -> dict[str, Outcome]:
    """Return what became of each case, by name. Each has a store of its own."""
    jobs = {name: _job(name, case) for name, case in cases.items()}
    stores = Stores({jobs[name]: case for name, case in cases.items()})
    with stores.served() as graph_url, nvd.served(cases, [job.prefix for job in jobs.values()]) as nvd_urls:
        options = ("--graph-url", graph_url, "--concurrency", str(concurrency))
        manifests = _manifests(jobs.values(), nvd_urls)
        with _serving(BullpenLocal(folder, manifests, *options, environment=_KEY), node) as local:
            queues = {job: node.queue(local.url, job.queue, job.prefix) for job in jobs.values()}
            for name, case in cases.items():
                job = jobs[name]
                queues[job].add(case.job_name, case.data, {**case.options, "jobId": job.job_id})
            _await_ends(queues.values(), local)
            outcomes = {name: _outcome(case, jobs[name], queues[jobs[name]], stores) for name, case in cases.items()}
    assert stores.strays() == frozenset()
    return outcomes


def _job(name: str, case: Case) -> JobKey:
    """A case whose store fails has a JobQueue of its own: one that stops claiming stops no other case."""
    job_id = re.sub(r"[^\w-]+", "-", name)
    return JobKey(f"storm-{job_id}" if case.faults or case.nvd else "bull", case.queue, job_id)


def _manifests(jobs: Iterable[JobKey], nvd_urls: Mapping[str, str]) -> str:
    """One JobQueue for each queue."""
    places = dict.fromkeys((job.prefix, job.queue) for job in jobs)
    return "\n---\n".join(_manifest(prefix, queue, nvd_urls[prefix]) for prefix, queue in places)


def _manifest(prefix: str, queue: str, nvd_url: str) -> str:
    """A JobQueue; job names that it does not know fail there, as in the original."""
    return json.dumps(
        {
            "apiVersion": "bullpen.dev/v1alpha1",
            "kind": "JobQueue",
            "metadata": {"name": f"{prefix}-{queue}".lower()[:63].rstrip("-")},
            "spec": {
                "prefix": prefix,
                "queue": queue,
                "redis": {"secretRef": {"name": "redis"}},
                "unknownJobs": "fail",
                "defaults": {
                    "graph": {"secretRef": {"name": "graph"}},
                    "timeout": "120s",
                    "giveBack": {"delay": "1s"},
                    "resources": {"limits": {"memory": "512Mi"}},
                    "settings": {"nvdUrl": nvd_url, "explain": queue in EXPLAINED},
                    "env": [{"name": "NVD_API_KEY", "valueFrom": {"secretKeyRef": {"name": "nvd", "key": "key"}}}],
                },
                "jobTypes": [{"name": job_type} for job_type in QUEUES[queue]],
            },
        }
    )


@contextmanager
def _serving(local: BullpenLocal, node: NodeClient) -> Iterator[BullpenLocal]:
    try:
        local.start()
        local.client().close()
        yield local
        node.forget(local.url)
        assert local.interrupt() == 0, local.errors()
    finally:
        local.close()


def _await_ends(queues: Iterable[NodeQueue], local: BullpenLocal) -> None:
    """Wait until no job waits, runs or is delayed."""
    distinct = list({json.dumps(queue.at, sort_keys=True): queue for queue in queues}.values())
    unended, moved_at = -1, time.monotonic()
    while left := sum(sum(queue.counts(*_UNENDED).values()) for queue in distinct):
        if left != unended:
            unended, moved_at = left, time.monotonic()
        assert time.monotonic() < moved_at + PATIENCE_S, f"{left} jobs do not end:\n{local.errors()}"
        time.sleep(0.2)


def _outcome(case: Case, job: JobKey, queue: NodeQueue, stores: Stores) -> Outcome:
    """Read a job as a client does."""
    seen: Mapping[str, Any] = queue.job(job.job_id, "asJSON")
    return Outcome(
        state=queue.state(job.job_id),
        attempts=seen["attemptsMade"],
        value=json.loads(seen["returnvalue"]),
        reason=json.loads(seen["failedReason"]) if seen.get("failedReason") else None,
        quads=stores.of(job).triples.lines(exact=case.exact),
    )
