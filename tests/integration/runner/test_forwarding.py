"""A runner with a log server: every line it prints arrives, and whatever the server does, the job does not notice."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bullpen_protocol.assignment import ExitCode
from bullpen_protocol.forwarding.forwarder import FLUSH_S
from fakes.attempts import Runner, Stage, eventually
from servers.logs import LogServer


@pytest.fixture
def logs() -> Iterator[LogServer]:
    with LogServer() as server:
        yield server


def connected(stage: Stage, logs: LogServer, *steps: list[Any], **environment: str) -> Runner:
    """Start a job whose processor goes on as soon as the log server knows its runner."""
    go = stage.touched("go")
    stage.add(["wait_for", str(go)], *steps)
    runner = stage.start(*stage.claim(), environment={"LOGS_WS_URL": logs.url, **environment})
    logs.wait(lambda: logs.clients == 1 and logs.texts(ns="runner") == ["started"], "the connection")
    go.touch()
    return runner


def test_every_line_that_is_printed_arrives_in_order(stage: Stage, logs: LogServer) -> None:
    runner = connected(stage, logs, ["print", "é 😀"], ["complain", "carefully"], ["value", 1])
    assert runner.wait() == ExitCode.COMPLETED
    printed = runner.lines()
    logs.wait(lambda: len(logs.entries) == len(printed), "the arrival of all")
    assert [entry["msg"][0] for entry in logs.entries] == [line["msg"] for line in printed]
    for entry, line in zip(logs.entries, printed, strict=True):
        text, more = entry["msg"]
        assert list(entry) == ["ts", "level", "ns", "msg"]
        assert entry | more | {"msg": text} == line
    assert (printed[-1]["ns"], printed[-1]["msg"]) == ("runner", "completed")


def test_equal_lines_are_sent_once_and_counted_but_all_are_printed(stage: Stage, logs: LogServer) -> None:
    runner = connected(stage, logs, *[["print", "again"]] * 5)
    assert runner.wait() == ExitCode.COMPLETED
    assert runner.messages(ns="processor") == ["again"] * 5
    logs.wait(lambda: "(repeated x4)" in logs.texts(), "the count")
    assert logs.texts(ns="processor") == ["again", "(repeated x4)"]


def test_what_the_log_leaves_out_is_not_sent(stage: Stage, logs: LogServer) -> None:
    go = stage.touched("go")
    stage.add(["print", "not heard"], ["complain", "heard"], ["wait_for", str(go)], ["value", 1])
    runner = stage.start(*stage.claim(), environment={"LOGS_WS_URL": logs.url, "LOG_LEVEL": "warn"})
    logs.wait(lambda: logs.entries, "the arrival")
    go.touch()
    assert runner.wait() == ExitCode.COMPLETED
    assert (runner.messages(), logs.texts()) == (["heard"], ["heard"])


def test_neither_payload_nor_credentials_are_sent(stage: Stage, logs: LogServer) -> None:
    runner = connected(stage, logs, ["value", "hunter2"], BULLPEN_GRAPH_PASSWORD="hunter2")
    assert runner.wait() == ExitCode.COMPLETED
    logs.wait(lambda: "completed" in logs.texts(), "the last line")
    assert "hunter2" not in json.dumps(logs.entries)


def test_a_runner_that_is_stopped_says_so_to_the_log_server(stage: Stage, logs: LogServer) -> None:
    go = stage.touched("never")
    stage.add(["wait_for", str(go)])
    runner = stage.start(*stage.claim(), environment={"LOGS_WS_URL": logs.url})
    logs.wait(lambda: logs.clients == 1 and logs.entries, "the connection")
    began = time.monotonic()
    runner.send(signal.SIGTERM)
    assert runner.wait() == ExitCode.TERMINATED
    assert time.monotonic() - began < FLUSH_S + 5
    logs.wait(lambda: "ended" in logs.texts(), "the last line")


def test_a_log_server_that_never_answers_costs_the_job_nothing(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/logs"
        job_id = stage.add(["value", 1])
        runner = stage.start(*stage.claim(), environment={"LOGS_WS_URL": url})
        eventually(lambda: stage.queue.state(job_id) == "completed", "the completion")
        finished = time.monotonic()
        assert runner.wait() == ExitCode.COMPLETED
        assert time.monotonic() - finished < FLUSH_S + 5
    assert stage.events(job_id) == ["active", "completed"]


def test_a_log_server_that_is_gone_is_said_once_and_what_was_lost(stage: Stage) -> None:
    runner = stage.play(["sleep", 3], ["value", 1], environment={"LOGS_WS_URL": "http://127.0.0.1:1/logs"})
    assert runner.wait() == ExitCode.COMPLETED
    away, lost = runner.messages(ns="logs-forwarder")
    assert away == "the log server at http://127.0.0.1:1/logs is away; the newest entries wait for it"
    assert lost.endswith(" log entries did not reach the log server")


def test_a_url_that_is_none_is_said_and_the_job_is_done(stage: Stage) -> None:
    runner = stage.play(["value", 1], environment={"LOGS_WS_URL": "http://user:hunter2@h/logs"})
    assert runner.wait() == ExitCode.COMPLETED
    assert runner.messages(level="warn") == [
        "nothing is forwarded: LOGS_WS_URL holds a user or password; log servers are asked without: leave it out"
    ]
    assert "hunter2" not in runner.output()


def test_a_killed_runner_leaves_no_process_behind(stage: Stage, logs: LogServer) -> None:
    stage.add(["wait_for", str(stage.touched("never"))])
    runner = stage.start(*stage.claim(), environment={"LOGS_WS_URL": logs.url})
    logs.wait(lambda: logs.entries, "the connection")
    forwarders = {pid for pid in children(runner.pid) if b"forwarding.process" in command(pid)}
    assert len(forwarders) == 1
    runner.send(signal.SIGKILL)
    runner.wait()
    eventually(lambda: not any(b"forwarding.process" in command(pid) for pid in forwarders), "the end of it")


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
