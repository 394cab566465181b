"""What Bullpen leaves in Redis is what that version's own worker leaves: hashes, lists, sets, logs and events."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from bullpen_protocol.bullmq import SyncQueue
from fakes.plan import run_all
from fakes.snapshot import events_of, keys_of
from servers.node import VERSIONS, NodeQueue
from servers.pools import Connect, Nodes
from servers.redis import RedisServer

THROW = {"throw": "broke: é"}

SHAPES: list[tuple[str, list[dict[str, Any]], dict[str, Any]]] = [
    ("value", [{"return": 1}], {}),
    ("undefined", [{"undefined": True}], {}),
    ("object", [{"return": {"a": [1, None, 'é😀"'], "b": {"c": True}}}], {}),
    ("own-id", [{"return": ""}], {"jobId": "own-id"}),
    ("progress", [{"progress": 40, "return": 0}], {}),
    ("progress-object", [{"progress": {"done": 1, "é": "ü"}, "return": False}], {}),
    ("logs", [{"log": ["one", "two", "drei ü"], "return": "ok"}], {}),
    ("keep-logs", [{"log": ["one", "two", "three"], "return": "ok"}], {"keepLogs": 2}),
    ("remove-on-complete", [{"return": 1, "log": ["gone"]}], {"removeOnComplete": True}),
    ("keep-on-complete", [{"return": 1}], {"removeOnComplete": False}),
    ("retry", [THROW, {"return": 2}], {"attempts": 2}),
    ("retry-fixed", [THROW, {"return": 2}], {"attempts": 2, "backoff": 5}),
    (
        "retry-exponential",
        [THROW, THROW, {"return": 3}],
        {"attempts": 3, "backoff": {"type": "exponential", "delay": 4}},
    ),
    ("retry-lifo", [THROW, {"return": 2}], {"attempts": 2, "lifo": True}),
    ("fails", [THROW], {}),
    ("fails-after-retries", [THROW], {"attempts": 3}),
    ("unrecoverable", [{**THROW, "unrecoverable": True}], {"attempts": 5}),
    ("remove-on-fail", [THROW], {"removeOnFail": True}),
    ("one-stack", [THROW], {"attempts": 3, "stackTraceLimit": 1}),
    ("no-stack", [THROW], {"attempts": 2, "stackTraceLimit": 0}),
    ("priority", [{"return": 1}], {"priority": 3}),
    ("priority-retry", [THROW, {"return": 1}], {"priority": 2, "attempts": 2}),
    ("delay", [{"return": 1}], {"delay": 15}),
    ("ümlaut 😀", [{"return": "ß"}], {}),
]

Left = tuple[dict[str, Any], dict[str, list[dict[str, str]]], dict[str, Any]]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_shape_of_job_ends_as_under_the_versions_own_worker(
    version: str, any_server: RedisServer, connected: Connect, node: Nodes, prefix: str
) -> None:
    client = connected(any_server)
    theirs = node(version).queue(any_server.url, "theirs", prefix)
    ours = node(version).queue(any_server.url, "ours", prefix)

    by_node = ending(client, theirs, lambda: theirs.work(concurrency=1))
    by_bullpen = ending(client, ours, lambda: run_all(SyncQueue(client, "ours", prefix)))

    for mine, theirs_too in zip(by_bullpen, as_bullpen(by_node, version), strict=True):
        assert mine == theirs_too


def ending(client: redis.Redis, queue: NodeQueue, consume: Any) -> Left:
    """Add a job of each shape, let them be consumed; what is left, what was said, and what producers were told."""
    ids = [queue.add(name, {"plan": plan}, opts) for name, plan, opts in SHAPES]
    queue.watch(ids)
    consume()
    base = f"{queue.at['prefix']}:{queue.at['queue']}:"
    return keys_of(client, base), events_of(client, base), queue.ended(ids)


def as_bullpen(left: Left, version: str) -> Left:
    """Apply the known differences, all of them of 5.7.0: it takes a stackTraceLimit of 0 for none, and its events say
    otherwise in `prev`, which its listeners don't read, where a job came from."""
    keys, events, told = left
    if version != "5.7.0":
        return left
    for job in keys.values():
        if isinstance(job, dict) and job.get("name") == "no-stack":
            job["stacktrace"] = []
    for event in (event for of_job in events.values() for event in of_job):
        if event["event"] in ("completed", "failed") or event.get("prev") == "failed":
            event["prev"] = "active"
    return keys, events, told
