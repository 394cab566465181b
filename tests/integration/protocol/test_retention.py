"""What is kept of finished jobs: removeOnComplete and removeOnFail in every shape that BullMQ knows, and in others."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from bullpen_protocol.bullmq import Finish, SyncQueue
from fakes.plan import claim, run, run_all
from fakes.snapshot import keys_of
from servers.pools import Nodes
from servers.redis import RedisServer

SHAPES: list[Any] = [
    True,
    False,
    0,
    1,
    3,
    {"count": 2},
    {"count": 0},
    {"age": 3600},
    {"age": 3600, "count": 1, "limit": 5},
]


@pytest.mark.parametrize("version", ["5.81.5", "6"])
@pytest.mark.parametrize("option", ["removeOnComplete", "removeOnFail"])
def test_as_many_jobs_are_kept_as_nodes_worker_keeps(
    version: str, option: str, server: RedisServer, client: redis.Redis, node: Nodes, prefix: str
) -> None:
    step = {"return": 1} if option == "removeOnComplete" else {"throw": "no"}
    for number, shape in enumerate(SHAPES):
        theirs = node(version).queue(server.url, f"theirs{number}", prefix)
        ours = node(version).queue(server.url, f"ours{number}", prefix)
        for queue in (theirs, ours):
            for _ in range(5):
                queue.add("n", {"plan": [step]}, {option: shape})
        theirs.work(concurrency=1)
        run_all(SyncQueue(client, f"ours{number}", prefix))
        kept = keys_of(client, f"{prefix}:ours{number}:")
        assert kept == keys_of(client, f"{prefix}:theirs{number}:"), shape


@pytest.mark.parametrize(
    ("shape", "kept"),
    [
        ("null", 1),
        ('""', 1),
        ('"yes"', 0),
        ("[]", 1),
        ("{}", 1),
        ('{"count":"two"}', 1),
        ('{"count":1e400}', 1),
        ('{"age":"old","count":null}', 1),
        ("1.5", 1),
        ("1e400", 1),
        ("-7", 1),
    ],
)
def test_a_shape_that_would_break_the_script_half_way_still_ends_the_job(
    queue: SyncQueue, shape: str, kept: int
) -> None:
    job_id = queue.add("n", "{}")
    queue.client.hset(queue.keys(job_id), "opts", f'{{"removeOnComplete":{shape}}}')
    claimed = claim(queue)
    assert run(queue, claimed.job, claimed.job.pb or "") is Finish.COMPLETED
    assert (queue.counts()["active"], queue.counts()["completed"]) == (0, kept)
