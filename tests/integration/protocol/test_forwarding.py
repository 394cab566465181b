"""Entries on their way to a real Socket.IO server, which comes, goes, hangs and never was."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bullpen_protocol.forwarding.entries import LogEntry, Target
from bullpen_protocol.forwarding.forwarder import FLUSH_S, Forwarder
from fakes.attempts import eventually
from servers.logs import LogServer


def entry(msg: Any) -> LogEntry:
    return LogEntry(ts="2026-01-01T00:00:00.000Z", level="info", ns="runner", msg=msg)


class Said(list[tuple[str, str]]):
    """What a forwarder tells of itself."""

    def __call__(self, level: str, sentence: str) -> None:
        self.append((level, sentence))


@pytest.fixture
def server() -> Iterator[LogServer]:
    with LogServer() as server:
        yield server


def forwarder(url: str, said: Said, window_s: float = 0.0) -> Forwarder:
    return Forwarder(Target(url, window_s=window_s), os.environ, said)


def await_news(one: Forwarder, said: Said, count: int = 1) -> None:
    """A forwarder hears of its process when it is given an entry."""

    def heard() -> bool:
        one.put(entry("more"))
        return len(said) >= count

    eventually(heard, f"news number {count}")


def closed_after_s(one: Forwarder) -> float:
    began = time.monotonic()
    one.close()
    return time.monotonic() - began


def test_entries_arrive_as_they_are_and_in_order(server: LogServer) -> None:
    sent = [entry(["é😀 \ud800", {"job_id": str(number)}]) for number in range(100)]
    one = forwarder(server.url, said := Said())
    for each in sent:
        one.put(each)
    server.wait(lambda: len(server.entries) == 100, "the arrival of all")
    one.close()
    assert (server.entries, server.clients, said) == (sent, 1, [])


def test_the_last_entries_arrive_although_the_sender_ends_at_once(server: LogServer) -> None:
    one = forwarder(server.url, said := Said(), window_s=60)
    one.put(entry("first"))
    server.wait(lambda: server.entries, "the first")
    for text in ("again", "again", "again", "last"):
        one.put(entry(text))
    assert closed_after_s(one) < FLUSH_S
    server.wait(lambda: len(server.entries) == 4, "the last ones")
    assert server.texts() == ["first", "again", "last", "(repeated x2)"]
    assert said == []


def test_repeats_are_counted_at_the_end_of_their_window(server: LogServer) -> None:
    one = forwarder(server.url, Said(), window_s=0.3)
    for _ in range(5):
        one.put(entry("again"))
    server.wait(lambda: len(server.entries) == 2, "the count")
    one.close()
    assert server.texts() == ["again", "(repeated x4)"]


def test_a_server_that_comes_back_gets_the_newest_entries_and_hears_how_many_are_missing(server: LogServer) -> None:
    one = forwarder(server.url, said := Said())
    one.put(entry("before"))
    server.wait(lambda: server.entries, "the first")
    server.stop()
    for number in range(300):
        one.put(entry(f"{number}"))
    await_news(one, said)
    server.start()
    server.wait(lambda: server.clients == 2 and "more" in server.texts(), "the return")
    missing = [text for text in server.texts(ns="logs-forwarder") if text.endswith("were dropped on the way here")]
    assert len(missing) == 1
    await_news(one, said, 2)
    one.close()
    assert said == [
        ("warn", f"the log server at {server.url} is away; the newest entries wait for it"),
        ("info", f"the log server at {server.url} is back"),
    ]


def test_where_nobody_listens_nobody_waits_and_what_was_lost_is_said() -> None:
    one = forwarder("http://127.0.0.1:1/logs", said := Said())
    one.put(entry("first"))
    await_news(one, said)
    assert closed_after_s(one) < FLUSH_S / 2
    assert said[0] == ("warn", "the log server at http://127.0.0.1:1/logs is away; the newest entries wait for it")
    assert said[1][1].endswith(" log entries did not reach the log server")
    assert len(said) == 2


def test_a_server_that_never_answers_costs_less_than_a_second() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        one = forwarder(f"http://127.0.0.1:{silent.getsockname()[1]}/logs", Said())
        began = time.monotonic()
        for number in range(1000):
            one.put(entry(number))
        assert time.monotonic() - began < 1
        assert closed_after_s(one) <= FLUSH_S + 0.1


def test_a_namespace_that_the_server_does_not_have_is_a_server_that_is_away(server: LogServer) -> None:
    one = forwarder(server.url, said := Said())
    one._environment["LOGS_WS_URL"] = f"http://127.0.0.1:{server.port}/elsewhere"
    await_news(one, said)
    one.close()
    assert "is away" in said[0][1]
    assert server.entries == []


def test_a_forwarder_that_is_killed_is_said_and_disturbs_nobody(server: LogServer) -> None:
    one = forwarder(server.url, said := Said())
    one.put(entry("first"))
    server.wait(lambda: server.entries, "the first")
    os.kill(one._pid, signal.SIGKILL)
    await_news(one, said)
    one.put(entry("lost"))
    one.close()
    assert said[0] == ("warn", "the log forwarder has ended; entries are lost until it is started again")
    assert said[1][1].endswith(" log entries could not be handed to the log forwarder")


def test_the_forwarder_knows_no_credential_of_the_stores_and_ends_with_its_parent(server: LogServer) -> None:
    secret = {"BULLPEN_REDIS_URL": "redis://:hunter2@h", "BULLPEN_GRAPH_PASSWORD": "hunter2"}
    one = Forwarder(Target(server.url), {**os.environ, **secret}, Said())
    one.put(entry("first"))
    server.wait(lambda: server.entries, "the first")
    assert b"hunter2" not in Path(f"/proc/{one._pid}/environ").read_bytes()
    channel, one._channel = one._channel, None
    assert channel is not None
    channel.close()  # as the kernel does when the parent is killed
    eventually(lambda: os.waitpid(one._pid, os.WNOHANG)[0] == one._pid, "the end of the process")
