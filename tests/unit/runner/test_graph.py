"""Where a store is, from its assignment; and how long to wait between tries."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Any

import pytest

from bullpen_processors.api import UpdateText
from bullpen_protocol.assignment import Assignment, AssignmentError
from bullpen_runner.graph import GraphStore, StoreAwayError, StoreRefusedError, backoff

ASSIGNMENT = Assignment("redis://nowhere", "bull", "q", "1", "T", "uid", "any")


def store(**told: Any) -> GraphStore:
    return GraphStore.from_assignment(replace(ASSIGNMENT, **told))


@pytest.mark.parametrize(
    ("url", "update_url", "expected"),
    [
        ("http://g:7200/repositories/r", None, "http://g:7200/repositories/r/statements"),
        ("http://g:7200/repositories/r/", None, "http://g:7200/repositories/r/statements"),
        ("https://g/rdf4j-server/repositories/r/statements", None, "https://g/rdf4j-server/repositories/r/statements"),
        ("http://g/repositories/r?infer=false", None, "http://g/repositories/r/statements?infer=false"),
        ("http://f/ds/query", "http://f/ds/update", "http://f/ds/update"),
        (None, "http://f/ds/update", "http://f/ds/update"),
    ],
)
def test_updates_go_where_the_urls_say(url: str | None, update_url: str | None, expected: str) -> None:
    assert store(graph_url=url, graph_update_url=update_url).endpoint.url.geturl() == expected


@pytest.mark.parametrize(
    ("url", "update_url", "sentence"),
    [
        (None, None, "BULLPEN_GRAPH_URL is not set"),
        ("http://f/ds/query", None, "set BULLPEN_GRAPH_UPDATE_URL as well"),
        ("ftp://f/repositories/r", None, "BULLPEN_GRAPH_URL is not an http"),
        ("http://f:port/repositories/r", None, "BULLPEN_GRAPH_URL is not an http"),
        ("http://[::1/repositories/r", None, "BULLPEN_GRAPH_URL is not an http"),
        ("http://f/repositories/é", None, "BULLPEN_GRAPH_URL is not an http"),
        ("http://f/q", "nonsense", "BULLPEN_GRAPH_UPDATE_URL is not an http"),
        ("http://me:secret@f/repositories/r", None, "set BULLPEN_GRAPH_USERNAME and BULLPEN_GRAPH_PASSWORD instead"),
    ],
)
def test_a_wrong_url_is_said_in_one_sentence_without_secrets(
    url: str | None, update_url: str | None, sentence: str
) -> None:
    with pytest.raises(AssignmentError, match=sentence) as error:
        store(graph_url=url, graph_update_url=update_url)
    assert "secret" not in str(error.value)


def test_credentials_are_not_shown() -> None:
    shown = repr(store(graph_url="http://g/repositories/r", graph_username="me", graph_password="secret"))
    assert "secret" not in shown
    assert "Basic" not in shown


def test_a_write_that_cannot_be_sent_is_refused_before_any_request() -> None:
    with pytest.raises(StoreRefusedError, match="lone surrogate"):
        GraphStore.prepare(UpdateText("\ud800"))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:1/repositories/r", "it refused the connection"),
        ("http://no-such-host.invalid/repositories/r", "its host name is not known"),
    ],
)
def test_a_store_that_cannot_be_reached_is_away(url: str, reason: str) -> None:
    nowhere = store(graph_url=url)
    with pytest.raises(StoreAwayError, match=reason):
        nowhere.write(nowhere.prepare(UpdateText("INSERT DATA {}")), 5.0)


def test_a_store_that_takes_no_byte_is_given_up_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as deaf:
        there = store(graph_url=f"http://127.0.0.1:{deaf.getsockname()[1]}/repositories/r")
        with pytest.raises(StoreAwayError, match=r"nothing came within 0\.3 s"):
            there.write(there.prepare(UpdateText("# " + "x" * 50_000_000)), 0.3)


def test_the_wait_doubles_up_to_8_seconds() -> None:
    assert [backoff(tries) for tries in (0, 1, 2, 3, 4, 5, 6, 1000)] == [0.5, 0.5, 1, 2, 4, 8, 8, 8]
