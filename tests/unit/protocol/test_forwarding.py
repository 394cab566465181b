"""What is said of log entries before any connection: variables, windows, the buffer, the last wait."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen_protocol.forwarding.buffer import Buffer
from bullpen_protocol.forwarding.coalescing import Coalescer
from bullpen_protocol.forwarding.entries import ForwardingError, LogEntry, Target
from bullpen_protocol.forwarding.link import State, dropped_entry
from bullpen_protocol.forwarding.process import latest


def entry(msg: Any, ts: str = "0", level: str = "info", ns: str = "runner") -> LogEntry:
    return LogEntry(ts=ts, level=level, ns=ns, msg=msg)


def test_without_a_url_nothing_is_forwarded() -> None:
    assert Target.from_environment({"LOG_COALESCE_WINDOW_MS": "soon"}) is None
    assert Target.from_environment({"LOGS_WS_URL": "  "}) is None


@pytest.mark.parametrize(
    ("environment", "target"),
    [
        ({"LOGS_WS_URL": "http://node-api:8081/logs"}, Target("http://node-api:8081/logs", "/logs", 3.0)),
        ({"LOGS_WS_URL": "https://h"}, Target("https://h", "/logs", 3.0)),
        ({"LOGS_WS_URL": "ws://h/a/b/", "LOG_COALESCE_WINDOW_MS": "250"}, Target("ws://h/a/b/", "/a/b", 0.25)),
        ({"LOGS_WS_URL": "wss://[::1]:1/", "LOG_COALESCE_WINDOW_MS": "0"}, Target("wss://[::1]:1/", "/logs", 0.0)),
    ],
)
def test_the_path_of_the_url_is_the_namespace(environment: dict[str, str], target: Target) -> None:
    assert Target.from_environment(environment) == target
    assert Target.from_environment(target.to_environment()) == target


@pytest.mark.parametrize(
    ("url", "window", "sentence"),
    [
        ("node-api:8081", "", "LOGS_WS_URL is no URL of a log server; expected http(s)://host:port/logs"),
        ("http://", "", "LOGS_WS_URL is no URL of a log server; expected http(s)://host:port/logs"),
        ("http://h:99999/logs", "", "LOGS_WS_URL is no URL; expected http(s)://host:port/logs"),
        ("http://h:0/logs", "", "LOGS_WS_URL is no URL of a log server; expected http(s)://host:port/logs"),
        ("ftp://h/logs", "", "LOGS_WS_URL is no URL of a log server; expected http(s)://host:port/logs"),
        (
            "http://u:hunter2@h/logs", "",
            "LOGS_WS_URL holds a user or password; log servers are asked without: leave it out",
        ),
        ("http://h", "soon", "LOG_COALESCE_WINDOW_MS is 'soon'; expected milliseconds, 0 to 3600000"),
        ("http://h", "-1", "LOG_COALESCE_WINDOW_MS is '-1'; expected milliseconds, 0 to 3600000"),
        ("http://h", "²", "LOG_COALESCE_WINDOW_MS is '²'; expected milliseconds, 0 to 3600000"),
        ("http://h", "9" * 50, f"LOG_COALESCE_WINDOW_MS is '{'9' * 40}'; expected milliseconds, 0 to 3600000"),
    ],
)  # fmt: skip
def test_wrong_variables_are_one_sentence_without_the_secret(url: str, window: str, sentence: str) -> None:
    with pytest.raises(ForwardingError) as caught:
        Target.from_environment({"LOGS_WS_URL": url, "LOG_COALESCE_WINDOW_MS": window})
    assert str(caught.value) == sentence


def test_equal_entries_within_a_window_are_sent_once_and_then_counted() -> None:
    coalescer = Coalescer(3.0)
    assert coalescer.add(entry("a", ts="1"), 10.0) == [entry("a", ts="1")]
    assert coalescer.add(entry("a", ts="2"), 11.0) == []
    assert coalescer.add(entry("b", ts="3"), 11.5) == [entry("b", ts="3")]
    assert coalescer.add(entry("a", ts="4"), 12.9) == []
    assert coalescer.wait(12.9) == pytest.approx(0.1)
    assert coalescer.due(12.999) == []
    assert coalescer.due(13.0) == [entry("(repeated x2)", ts="4")]
    assert coalescer.due(14.5) == [], "of b there was one only"
    assert coalescer.wait(14.5) is None


def test_a_window_is_not_prolonged_and_a_new_one_begins_with_the_next_entry() -> None:
    coalescer = Coalescer(3.0)
    coalescer.add(entry("a"), 0.0)
    coalescer.add(entry("a"), 2.9)
    assert coalescer.add(entry("a", ts="5"), 3.1) == [entry("(repeated x1)"), entry("a", ts="5")]
    assert coalescer.add(entry("a"), 6.0) == []


@pytest.mark.parametrize("other", [entry("a", ns="processor"), entry("a", level="warn"), entry(["a", {"job_id": "2"}])])
def test_another_namespace_level_or_text_is_another_entry(other: LogEntry) -> None:
    coalescer = Coalescer(3.0)
    coalescer.add(entry("a"), 0.0)
    assert coalescer.add(other, 0.0) == [other]


def test_a_window_of_nothing_sends_everything() -> None:
    coalescer = Coalescer(0.0)
    assert [coalescer.add(entry("a"), 0.0) for _ in range(3)] == [[entry("a")]] * 3
    assert coalescer.close() == []


def test_at_the_end_what_was_held_back_is_told() -> None:
    coalescer = Coalescer(3.0)
    for text in "aabaccc":
        coalescer.add(entry(text), 0.0)
    assert coalescer.close() == [entry("(repeated x2)"), entry("(repeated x2)")]
    assert coalescer.close() == []


def test_of_very_many_windows_the_oldest_ends_early() -> None:
    coalescer = Coalescer(3.0, windows=2)
    for text in "aab":
        coalescer.add(entry(text), 0.0)
    assert coalescer.add(entry("c"), 0.0) == [entry("(repeated x1)"), entry("c")]
    assert coalescer.add(entry("a"), 0.0) == [entry("a")]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 2)), max_size=40), st.integers(1, 3))
def test_nothing_is_lost_but_by_being_counted(said: list[tuple[str, float]], windows: int) -> None:
    coalescer, now, sent = Coalescer(1.0, windows), 0.0, list[LogEntry]()
    for text, pause in said:
        now += pause
        sent += coalescer.add(entry(text), now)
    sent += coalescer.close()
    counts = [int(one["msg"].removeprefix("(repeated x")[:-1]) for one in sent if one["msg"][0] == "("]
    assert sum(counts) + len(sent) - len(counts) == len(said)


def test_the_buffer_keeps_the_newest_and_counts_the_others() -> None:
    buffer = Buffer(limit=3)
    buffer.put([entry(number) for number in range(5)])
    assert [one["msg"] for one in buffer.take(2, 0)] == [2, 3]
    assert (len(buffer), buffer.count_dropped(), buffer.count_dropped()) == (1, 2, 0)


def test_what_could_not_be_sent_comes_first_again_and_makes_room_first() -> None:
    buffer = Buffer(limit=3)
    buffer.put([entry(number) for number in range(3)])
    taken = buffer.take(3, 0)
    buffer.put([entry(3)])
    buffer.give_back(taken)
    assert [one["msg"] for one in buffer.take(9, 0)] == [1, 2, 3]
    assert buffer.count_dropped() == 1


def test_nobody_waits_for_entries_that_will_not_come() -> None:
    buffer = Buffer()
    assert buffer.wait_for_close(0) is False
    buffer.close()
    assert buffer.wait_for_close(60) is True
    assert buffer.take(1, 60) == []


@pytest.mark.parametrize(
    ("state", "age_s", "patience_s"),
    [
        (State.UP, 60, 1.0),
        (State.AWAY, 60, 0.0),
        (State.NEW, 60, 0.0),
        (State.NEW, 1.5, 0.5),
        (State.NEW, 0.1, 0.9),
    ],
)
def test_the_last_wait_is_short_and_shorter_where_nobody_answers(state: State, age_s: float, patience_s: float) -> None:
    assert latest(state, 100.0, 100.0 + age_s) - (100.0 + age_s) == pytest.approx(patience_s)


def test_the_other_side_is_told_what_is_missing() -> None:
    assert dropped_entry(7, 0.5) == entry(
        "7 entries were dropped on the way here", "1970-01-01T00:00:00.500Z", "warn", "logs-forwarder"
    )
