"""`bullpen add`: what it leaves is what Node's Queue.add() leaves, and --wait follows the job to its end."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from bullpen_cli.following import follow
from bullpen_protocol.bullmq import ConsoleQueue, connect
from fakes.plan import LOCK_MS, new_token, run
from fakes.redis_proxy import Fault, RedisProxy, script
from fakes.snapshot import events_of, keys_of
from servers.command import Bullpen
from servers.pools import Nodes
from servers.redis import RedisServer

JOBS: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    ((), {}),
    (("--attempts", "3", "--backoff", "5s"), {"attempts": 3, "backoff": {"type": "fixed", "delay": 5_000}}),
    (
        ("--attempts", "2", "--backoff", "exponential:250ms"),
        {"attempts": 2, "backoff": {"type": "exponential", "delay": 250}},
    ),
    (("--delay", "10m"), {"delay": 600_000}),
    (("--priority", "7"), {"priority": 7}),
    (("--job-id", "own id"), {"jobId": "own id"}),
]


@pytest.mark.parametrize("version", ["5.81.5"])
def test_a_job_is_the_one_that_node_would_have_added(
    version: str, server: RedisServer, client: redis.Redis, node: Nodes, prefix: str, bullpen: Bullpen
) -> None:
    theirs = node(version).queue(server.url, "theirs", prefix)
    for arguments, options in JOBS:
        theirs.add("send é😀", {"to": "é😀", "n": 1.5}, options)
        assert bullpen("add", "ours", "send é😀", '{"to":"é😀","n":1.5}', *arguments).code == 0
    for read in (keys_of, events_of):
        ours, node_s = read(client, f"{prefix}:ours:"), read(client, f"{prefix}:theirs:")
        for left in (ours, node_s):
            left.pop("meta", None)  # Node writes its version
        assert ours == node_s


def test_the_payload_comes_from_an_argument_standard_input_or_a_file(
    queue: ConsoleQueue, bullpen: Bullpen, tmp_path: Path
) -> None:
    (tmp_path / "payload.json").write_bytes('{"a": "é"}\n'.encode())
    told = [
        bullpen("add", "q", "n", '{"a": "é"}', "--json").json,
        bullpen("add", "q", "n", "-", "--json", stdin='{"a": "é"}'.encode()).json,
        bullpen("add", "q", "n", "@payload.json", "--json").json,
        bullpen("add", "q", "n", "--json").json,
    ]
    assert told == [{"queue": "q", "id": str(number)} for number in (1, 2, 3, 4)]
    jobs = [queue.load(str(number)) for number in (1, 2, 3, 4)]
    assert [json.loads(job.data) for job in jobs if job] == [{"a": "é"}] * 3 + [{}]


@pytest.mark.parametrize(
    ("arguments", "stdin", "says"),
    [
        (
            ("hello",),
            b"",
            "the payload is not JSON: Expecting value at character 0; text needs quotes of its own: '\"text\"'",
        ),
        (("-",), b'{"a":', "the payload is not JSON: Expecting value at character 5"),
        (("-",), b"\xff", "the payload is not UTF-8: byte 0"),
        (("-",), b"NaN", "the payload is not JSON: it holds NaN"),
        (("-",), b"[" * 100_000, "the payload is nested too deep"),
        (("@nowhere",), b"", "nowhere: No such file or directory; expected a file with JSON"),
        (("--delay", "soon"), b"", "--delay: expected a duration such as 30s, 10m or 1h30m, got 'soon'"),
        (("--backoff", "cubic:1s"), b"", "--backoff: expected 5s, fixed:5s or exponential:5s, got 'cubic:1s'"),
        (("--priority", "9999999"), b"", "priority must be between 0 and 2097151"),
        (("--job-id", "7"), b"", "a job's own id must not be empty or a number: the queue counts those"),
        (("--job-id", "wait"), b"", "the id 'wait' is a key of the queue itself"),
    ],
)
def test_what_can_t_be_added_is_one_sentence_and_adds_nothing(
    arguments: tuple[str, ...], stdin: bytes, says: str, client: redis.Redis, bullpen: Bullpen, prefix: str
) -> None:
    said = bullpen("add", "q", "n", *arguments, stdin=stdin)
    assert (said.code, said.out, said.err) == (2, "", f"bullpen add: {says}\n")
    assert client.keys(f"{prefix}:*") == []


def test_an_answer_that_is_lost_is_told_as_that(server: RedisServer, queue: ConsoleQueue, bullpen: Bullpen) -> None:
    with RedisProxy(server.port) as proxy:
        proxy.on(script("addStandardJob-9"), Fault.LOSE_REPLY)
        said = bullpen("add", "q", "n", "--redis-url", proxy.url)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("bullpen add: Redis went away before it answered: the job may have been added; ")
    assert queue.ids("waiting", 9) == ["1"]


@contextmanager
def running(server: RedisServer, prefix: str) -> Iterator[None]:
    """Run what comes, as an operator would, until the end of the block."""
    over = threading.Event()

    def serve() -> None:
        with connect(server.url) as client:
            queue = ConsoleQueue(client, "q", prefix)
            while not over.wait(0.005):
                token = new_token()
                if job := getattr(queue.claim(token, LOCK_MS), "job", None):
                    run(queue, job, token)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_wait_follows_a_job_to_its_value(server: RedisServer, prefix: str, bullpen: Bullpen) -> None:
    plan = {"plan": [{"throw": "not yet"}, {"progress": 40, "return": {"é": "😀"}}]}
    with running(server, prefix):
        said = bullpen("add", "q", "n", json.dumps(plan), "--attempts", "2", "--wait")
    assert (said.code, json.loads(said.out)) == (0, {"é": "😀"})
    assert said.out.isascii()
    assert said.err.splitlines() == [
        "added job 1 to queue q",
        "active: an attempt has begun",
        "waiting: the attempt failed, another follows",
        "active: an attempt has begun",
        "progress: 40",
    ]


def test_wait_for_a_job_that_fails_is_a_negative_answer(server: RedisServer, prefix: str, bullpen: Bullpen) -> None:
    plan = json.dumps({"plan": [{"throw": "broke: é\x1b[2J"}]})
    with running(server, prefix):
        said = bullpen("add", "q", "n", plan, "--wait")
        told = bullpen("add", "q", "n", plan, "--wait", "--json")
    assert (said.code, said.out) == (1, "")
    assert said.err.splitlines()[-1] == "bullpen add: it failed: broke: é\\x1b[2J"
    assert told.code == 1
    assert json.loads(told.out) == {
        "queue": "q", "id": "2", "state": "failed", "value": None, "reason": "broke: é\x1b[2J",
    }  # fmt: skip


def test_wait_for_an_id_that_has_ended_already_tells_its_end(
    server: RedisServer, prefix: str, bullpen: Bullpen
) -> None:
    with running(server, prefix):
        first = bullpen("add", "q", "n", '{"plan":[{"return":1}]}', "--job-id", "mine", "--wait")
    again = bullpen("add", "q", "n", '{"plan":[{"return":2}]}', "--job-id", "mine", "--wait")
    assert (first.out, again.out) == ("1\n", "1\n")


def test_a_job_that_keeps_nothing_is_followed_by_its_events(
    server: RedisServer, prefix: str, bullpen: Bullpen, queue: ConsoleQueue
) -> None:
    place = queue.last_event()
    job_id = queue.add("n", '{"plan":[{"return":5}]}', {"removeOnComplete": True})
    with running(server, prefix), connect(server.url, block_s=5) as blocking:
        end = follow(ConsoleQueue(blocking, "q", prefix), job_id, place, lambda _: None)
    assert (end.state, end.value) == ("completed", 5)
