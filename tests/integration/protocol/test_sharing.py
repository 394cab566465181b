"""A worker of Node and Bullpen on one queue: every job runs once, and both may serve any version's producers."""

from __future__ import annotations

from collections import Counter

import pytest

from bullpen_protocol.bullmq import SyncQueue
from fakes.plan import run_all
from servers.node import VERSIONS
from servers.pools import Nodes
from servers.redis import RedisServer

JOBS = 60


@pytest.mark.parametrize("version", VERSIONS)
def test_two_kinds_of_consumers_share_a_queue(
    version: str, server: RedisServer, queue: SyncQueue, node: Nodes, prefix: str
) -> None:
    theirs = node(version).queue(server.url, "q", prefix)
    plan = [{"throw": "once"}, {"return": 1}]
    jobs = [
        {"name": "n", "data": {"plan": plan if number % 5 == 0 else plan[1:]}, "opts": {"attempts": 2, "backoff": 1}}
        for number in range(JOBS)
    ]
    theirs.call("addBulk", jobs)
    request = {"on": "driver", "method": "work", "args": [{"at": theirs.at, "options": {"concurrency": 2}}]}
    number = theirs.client.send(request)

    ours = run_all(queue)
    theirs.client.wait(number)

    said = Counter(
        (entry["event"], entry["jobId"]) for _, entry in queue.client.xrange(queue.keys("events")) if "jobId" in entry
    )
    by_event = Counter(event for event, _ in said.elements())
    assert (by_event["completed"], by_event["active"]) == (JOBS, JOBS + JOBS // 5)
    assert max(count for (event, _), count in said.items() if event == "completed") == 1
    assert 0 < ours <= JOBS + JOBS // 5
    assert queue.counts() | {"completed": JOBS} == dict.fromkeys(queue.counts(), 0) | {"completed": JOBS}
