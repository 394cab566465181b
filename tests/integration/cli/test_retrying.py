"""`bullpen retry` leaves what Job.retry() of each version leaves, and Node sees it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis

from bullpen_cli.retry import PAGE
from bullpen_protocol.bullmq import ConsoleQueue
from fakes.plan import claim, new_token, run, run_all
from fakes.snapshot import events_of, keys_of
from servers.command import Bullpen
from servers.node import VERSIONS, NodeQueue
from servers.pools import Nodes
from servers.redis import RedisServer

THROW = {"plan": [{"throw": "broke"}]}
SHAPES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (THROW, {}),
    (THROW, {"attempts": 2}),
    (THROW, {"lifo": True}),
    (THROW, {"priority": 3}),
    (THROW, {"jobId": "own"}),
]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_retried_job_is_where_and_what_node_s_own_retry_makes_it(
    version: str, server: RedisServer, client: redis.Redis, node: Nodes, prefix: str, bullpen: Bullpen
) -> None:
    left = []
    # 6.x alone puts a job of priority back among those of its priority; v5 lets it go first
    shapes = [shape for shape in SHAPES if version != "6" or "priority" not in shape[1]]
    for name in ("theirs", "ours"):
        theirs = node(version).queue(server.url, name, prefix)
        ids = [theirs.add("n", data, options) for data, options in shapes]
        run_all(ConsoleQueue(client, name, prefix))
        if name == "theirs":
            for job_id in ids:
                theirs.job(job_id, "retry")
        else:
            assert bullpen("retry", name, *ids, "--json").json == {"queue": name, "retried": ids, "refused": {}}
        assert [theirs.state(job_id) for job_id in ids] == ["waiting"] * len(ids)
        left.append((keys_of(client, f"{prefix}:{name}:"), events_of(client, f"{prefix}:{name}:")))
    assert left[0] == left[1]


def test_a_job_that_is_retried_runs_once_more_and_a_fresh_one_all_its_attempts(
    queue: ConsoleQueue, bullpen: Bullpen
) -> None:
    for job_id in ("once", "fresh"):
        queue.add("n", json.dumps(THROW), {"attempts": 3}, job_id)
    assert run_all(queue) == 6
    bullpen("retry", "q", "once")
    assert run_all(queue) == 1
    bullpen("retry", "q", "fresh", "--fresh")
    assert run_all(queue) == 3


def test_a_completed_job_runs_again_when_asked_to(queue: ConsoleQueue, bullpen: Bullpen) -> None:
    job_id = queue.add("n", "{}", {})
    run_all(queue)
    said = bullpen("retry", "q", job_id)
    assert said.code == 1
    assert said.err == "bullpen retry: job 1: it has not failed: it is completed; run it again with --completed\n"
    assert bullpen("retry", "q", job_id, "--completed").out == "1 job waits again: 1\n"
    assert run_all(queue) == 1


def test_all_failed_jobs_are_retried_once_page_by_page_and_what_can_t_be_is_told(
    client: redis.Redis, queue: ConsoleQueue, bullpen: Bullpen, prefix: str
) -> None:
    number = PAGE + 20
    for _ in range(number):
        queue.add("n", json.dumps(THROW), {})
    run_all(queue, timeout_s=60)
    client.zadd(f"{prefix}:q:failed", {"ghost": 1, "wait": 2})
    said = bullpen("retry", "q", "--all-failed", "--json")
    told = json.loads(said.out)
    assert said.code == 1
    assert sorted(told["retried"], key=int) == [str(one) for one in range(1, number + 1)]
    assert told["refused"] == {"ghost": "there is no such job", "wait": "no job may have this id"}
    assert queue.counts()["wait"] == number


def test_a_child_that_failed_its_parent_is_a_dependency_again(
    server: RedisServer, client: redis.Redis, node: Nodes, prefix: str, bullpen: Bullpen
) -> None:
    left = []
    for name in ("theirs", "ours"):
        theirs = node("5.81.5").queue(server.url, name, prefix)
        child = {
            "name": "c", "queueName": name, "data": THROW, "prefix": prefix,
            "opts": {"jobId": "child", "ignoreDependencyOnFailure": True},
        }  # fmt: skip
        other = {"name": "o", "queueName": name, "prefix": prefix, "opts": {"jobId": "other", "delay": 600_000}}
        theirs.flow(
            {"name": "p", "queueName": name, "prefix": prefix, "opts": {"jobId": "parent"}, "children": [child, other]}
        )
        queue = ConsoleQueue(client, name, prefix)
        token = new_token()
        run(queue, claim(queue, token).job, token)
        retry(theirs, bullpen, name)
        keys = keys_of(client, f"{prefix}:{name}:")
        del keys["meta"]  # a Queue of Node's writes its version there
        left.append((keys, queue.standing("parent").children))
    theirs_left, ours_left = (json.dumps(one, sort_keys=True).replace(":theirs", ":ours") for one in left)
    assert ours_left == theirs_left
    assert left[1][1] == 2


def retry(theirs: NodeQueue, bullpen: Bullpen, name: str) -> None:
    if name == "theirs":
        theirs.job("child", "retry")
    else:
        assert bullpen("retry", name, "child").code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "which jobs? Give their ids, or --all-failed"),
        (("1", "--all-failed"), "which jobs? Give their ids, or --all-failed"),
        (("--all-failed", "--completed"), "--all-failed and --completed exclude each other"),
    ],
)
def test_which_jobs_must_be_said(arguments: tuple[str, ...], says: str, bullpen: Bullpen) -> None:
    said = bullpen("retry", "q", *arguments)
    assert (said.code, said.err) == (2, f"bullpen retry: {says}\n")
