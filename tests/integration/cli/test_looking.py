"""`bullpen queues`, `jobs` and `job` beside Node clients, and what they say when there is nothing to say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import redis

from bullpen_operator.manifest import Placement, labels_of
from bullpen_operator.naming import kube_job_name
from bullpen_operator.seen import Attempt, AttemptSettings
from bullpen_protocol.bullmq import ConsoleQueue
from fakes.plan import claim, new_token, run_all
from servers.command import Bullpen
from servers.node import VERSIONS
from servers.pools import Nodes
from servers.redis import RedisServer
from servers.redis_kinds import cluster
from support import ROOT, require

BROKEN = {"plan": [{"throw": "broke: é😀\x1b[31m", "log": ["one", "two \x1b]0;owned\x07"]}]}


@pytest.mark.parametrize("version", VERSIONS)
def test_what_node_adds_is_listed_by_state(
    version: str, server: RedisServer, queue: ConsoleQueue, node: Nodes, prefix: str, bullpen: Bullpen
) -> None:
    theirs = node(version).queue(server.url, "q", prefix)
    failing = theirs.add("breaks", BROKEN)
    run_all(queue)
    waiting = [theirs.add("n", {}, {"attempts": 3}) for _ in range(3)]
    theirs.add("n", {}, {"priority": 4, "jobId": "important"})
    theirs.add("n", {}, {"delay": 600_000, "jobId": "later"})
    theirs.add("é😀", {}, {"jobId": "own \x1b[2J id"})

    told = bullpen("queues", "--json")
    assert told.json == [
        {
            "queue": "q",
            "paused": False,
            "waiting": 4,
            "prioritized": 1,
            "active": 0,
            "delayed": 1,
            "waiting-children": 0,
            "completed": 0,
            "failed": 1,
        }
    ]
    listed = bullpen("jobs", "q", "--json")
    assert [(job["id"], job["state"], job["attempts"]) for job in listed.json] == [
        *((job_id, "waiting", 3) for job_id in waiting),
        ("own \x1b[2J id", "waiting", 1),
        ("important", "prioritized", 1),
        ("later", "delayed", 1),
        (failing, "failed", 1),
    ]
    assert listed.json[-1]["reason"] == "broke: é😀\x1b[31m"
    table = bullpen("jobs", "q").out
    assert "own \\x1b[2J id  é😀" in table
    assert "\x1b" not in table
    assert theirs.state("important") == "prioritized" if version != "5.7.0" else True


def test_a_paused_queue_says_so_and_its_jobs_still_wait(
    server: RedisServer, node: Nodes, prefix: str, bullpen: Bullpen
) -> None:
    theirs = node("6").queue(server.url, "q", prefix)
    theirs.call("pause")
    job_id = theirs.add("n", {})
    assert bullpen("queues").out.splitlines()[1].split() == ["q", "1", "0", "0", "0", "0", "0", "0", "paused"]
    said = bullpen("job", "q", job_id)
    assert said.out.startswith(f"Job {job_id} of queue q is the next to run, but the queue is paused.\n")


def test_pages_of_jobs_follow_each_other(queue: ConsoleQueue, bullpen: Bullpen) -> None:
    for _ in range(25):
        queue.add("n", "{}", {})
    pages = [bullpen("jobs", "q", "--skip", str(skip), "--json").json for skip in (0, 10, 20)]
    assert [job["id"] for page in pages for job in page] == [str(number) for number in range(1, 26)]
    assert bullpen("jobs", "q", "--limit", "3").out.splitlines()[-1] == (
        "and 22 more waiting; show them with --state waiting --limit"
    )


def test_a_failed_job_tells_why_in_one_sentence_then_facts_then_its_log(
    server: RedisServer, queue: ConsoleQueue, node: Nodes, prefix: str, bullpen: Bullpen
) -> None:
    job_id = node("5.7.0").queue(server.url, "q", prefix).add("breaks", BROKEN, {"attempts": 2})
    run_all(queue)
    said = bullpen("job", "q", job_id)
    assert said.code == 0
    first, blank, *rest = said.out.splitlines()
    assert first.endswith("s ago, after 2 of 2 attempts: broke: é😀\\x1b[31m.")
    assert blank == ""
    assert "\x1b" not in said.out
    assert rest[-5:] == ["log:", "  one", "  two \\x1b]0;owned\\x07", "  one", "  two \\x1b]0;owned\\x07"]
    assert bullpen("job", "q", job_id, "--log", "1").out.splitlines()[-2:] == [
        "log, the last 1 of 4:",
        "  two \\x1b]0;owned\\x07",
    ]


def test_an_attempt_is_to_be_looked_at_in_its_pod(queue: ConsoleQueue, bullpen: Bullpen) -> None:
    job_id = queue.add("n", "{}", {}, "odd id/1")
    token = new_token()
    job = claim(queue, token).job
    queue.hold(job.id, token, f"{token}#uid-1", 30_000)
    told = bullpen("job", "q", job_id, "--json").json
    assert told["podUid"] == "uid-1"
    assert told["where"].startswith(
        "kubectl get pods --all-namespaces -l bullpen.dev/queue=q,bullpen.dev/job-id=odd-id-1-"
    )
    assert told["where"].endswith(f",job-name={told['attemptName']}")
    assert told["why"].endswith(": attempt 1 of 1.")


def test_the_documented_user_may_run_every_command(
    client: Any, server: RedisServer, queue: ConsoleQueue, bullpen: Bullpen, prefix: str
) -> None:
    docs = (ROOT / "docs/bullmq.md").read_text()
    rules = [
        rule for part in (r"resetchannels(.+?)\n```", r"needs (`.+?`) as") for rule in re.findall(part, docs, re.DOTALL)
    ]
    allowed = re.findall(r"\+\w+", " ".join(rules))
    user = f"u{prefix}"
    client.execute_command("ACL", "SETUSER", user, "reset", "on", ">pw", f"~{prefix}:*", *allowed)
    try:
        place = ("--redis-url", f"redis://{user}:pw@127.0.0.1:{server.port}")
        failing = queue.add("n", json.dumps(BROKEN), {})
        run_all(queue)
        for command in (
            ("add", "q", "n", "--delay", "1h", "--job-id", "later"),
            ("add", "q", "n", "--job-id", "later", "--wait", "--json"),
            ("queues",),
            ("jobs", "q"),
            ("job", "q", failing),
            ("retry", "q", failing),
            ("cancel", "q", "later", "--no-wait"),
        ):
            if "--wait" in command:
                queue.cancel("later")
                run_all(queue)
            said = bullpen(*command, *place)
            assert "refuses" not in said.err, said.err
    finally:
        client.execute_command("ACL", "DELUSER", user)


def test_a_pod_is_selected_by_labels_that_it_has(queue: ConsoleQueue, bullpen: Bullpen) -> None:
    job_id = queue.add("n", "{}", {}, "x" * 300)
    token = new_token()
    claim(queue, token)
    attempt = Attempt("ns/q", queue.prefix, "q", job_id, "n", token, 1, AttemptSettings(30_000, 30.0))
    labels = labels_of(attempt, Placement("i", "ns", "q", "secret"))
    selector = bullpen("job", "q", job_id, "--json").json["where"].split(" -l ")[1]
    wanted = dict(label.split("=") for label in selector.split(","))
    assert wanted.pop("job-name") == kube_job_name("q", job_id, token)  # Kubernetes sets it on a KubeJob's pods
    assert wanted.items() <= labels.items()
    assert f"look at   kubectl get pods --all-namespaces -l {selector}\n" in bullpen("job", "q", job_id).out


def test_the_payload_comes_out_as_it_went_in_and_nothing_else(queue: ConsoleQueue, bullpen: Bullpen) -> None:
    plain = queue.add("n", '{"a": 1.50}', {})
    odd = queue.add("n", '{"\x9b": "é😀"}', {})
    assert bullpen("job", "q", plain, "--data").out == '{"a": 1.50}\n'
    assert bullpen("job", "q", odd, "--data").out == '{"\\u009b": "\\u00e9\\ud83d\\ude00"}\n'


def test_no_job_is_a_negative_answer(bullpen: Bullpen, prefix: str) -> None:
    said = bullpen("job", "q", "404")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(f"There is no job 404 in queue q under the prefix {prefix}: ")


def test_no_queue_is_said_and_is_no_error(bullpen: Bullpen, prefix: str) -> None:
    said = bullpen("queues")
    assert (said.code, said.out) == (0, "")
    assert said.err == f"bullpen queues: there is no queue under the prefix '{prefix}' yet\n"
    assert bullpen("queues", "--json").json == []
    assert bullpen("jobs", "q").out == "no jobs\n"


def test_a_prefix_is_no_pattern(client: redis.Redis, bullpen: Bullpen, prefix: str) -> None:
    ConsoleQueue(client, "mine", f"{prefix}[a-z]*").add("n", "{}", {})
    ConsoleQueue(client, "other", f"{prefix}bcd").add("n", "{}", {})
    told = bullpen("queues", "--prefix", f"{prefix}[a-z]*", "--json").json
    assert [row["queue"] for row in told] == ["mine"]


def test_all_queues_are_found_among_many_keys_and_told_once(client: redis.Redis, bullpen: Bullpen, prefix: str) -> None:
    client.mset({f"{prefix}:noise:{number}": "" for number in range(5_000)})
    for number in range(30):
        ConsoleQueue(client, f"q{number:02}", prefix).add("n", "{}", {})
    assert [row["queue"] for row in bullpen("queues", "--json").json] == [f"q{number:02}" for number in range(30)]
    some = bullpen("queues", "--limit", "2")
    assert len(some.out.splitlines()) == 3
    assert some.err == "bullpen queues: there are more than 2; show them with --limit\n"


def test_queues_of_a_cluster_are_found(bullpen: Bullpen) -> None:
    require("redis-server on PATH")
    with cluster() as [first, *_]:
        place = ("--redis-url", f"redis+cluster://127.0.0.1:{first.port}", "--prefix", "{bull}")
        assert bullpen("add", "q", "n", *place).code == 0
        assert [row["queue"] for row in bullpen("queues", *place, "--json").json] == ["q"]
        assert bullpen("jobs", "q", *place, "--json").json[0]["state"] == "waiting"


@pytest.mark.parametrize("arguments", [("queues",), ("jobs", "q"), ("job", "q", "1"), ("cancel", "q", "1")])
def test_without_a_redis_one_sentence_says_what_to_give(arguments: tuple[str, ...], tmp_path: Path) -> None:
    said = Bullpen(tmp_path)(*arguments)
    assert said.code == 2
    assert said.err == (
        f"bullpen {arguments[0]}: which Redis? None runs in the state folder .bullpen: "
        "give --redis-url (or BULLPEN_REDIS_URL), or start `bullpen local`\n"
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("jobs", "q", "--redis-url", "redis://127.0.0.1:1"),
            "bullpen jobs: Redis can't be reached: ConnectionError: ",
        ),
        (
            ("jobs", "q", "--redis-url", "http://u:secret@h"),
            "bullpen jobs: not a Redis URL: http://h; expected redis://",
        ),
        (("jobs", "q:x"), "bullpen jobs: a queue's name must not be empty or hold a colon: 'q:x'"),
        (("jobs", "q", "--redis-ca", "nowhere"), "bullpen jobs: --redis-ca: nowhere is no file; expected certificates"),
        (("job", "q", "wait"), "bullpen job: 'wait' is a key of the queue itself; no job should have it as its id"),
    ],
)
def test_what_can_t_be_asked_is_one_sentence_and_exit_code_2(
    arguments: tuple[str, ...], says: str, bullpen: Bullpen
) -> None:
    said = bullpen(*arguments)
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith(says)
    assert said.err.count("\n") == 1
    assert "secret" not in said.err
