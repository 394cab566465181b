"""URLs taken apart, and redis-py's errors made ours."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from redis import exceptions

from bullpen_protocol.bullmq import RedisAwayError, RedisRefusedError, ServerUrlError, connect, connect_async
from bullpen_protocol.bullmq.connecting import TIMEOUT_S, Address, parse
from bullpen_protocol.bullmq.faults import translate
from bullpen_protocol.bullmq.server import problem


def test_sentinels_are_read_from_the_url() -> None:
    url = "rediss+sentinel://us%40er:p%3Ass@a,b:5,[::1]:6/the-master/3?sentinel_username=s&sentinel_password=t&x=y"
    assert parse(url) == Address(
        kind="sentinel",
        tls=True,
        url=url,
        hosts=(("a", 26379), ("b", 5), ("::1", 6)),
        username="us@er",
        password="p:ss",
        master="the-master",
        db=3,
        sentinel_login=(("username", "s"), ("password", "t")),
    )


def test_a_clusters_nodes_are_read_from_the_url() -> None:
    address = parse("redis+cluster://:pw@a:1,b")
    assert (address.kind, address.tls, address.hosts) == ("cluster", False, (("a", 1), ("b", 6379)))
    assert (address.username, address.password) == (None, "pw")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "not a Redis URL"),
        ("localhost:6379", "not a Redis URL"),
        ("http://user:secret@host", "not a Redis URL: http://host"),
        ("unix+cluster:///x", "not a Redis URL"),
        ("redis+other://secret@x", "not a Redis URL: redis[+]other://x"),
        ("redis+sentinel://u:secret@a,b", "redis[+]sentinel://a,b names no master"),
        ("redis+sentinel://u:secret@a/m/x", "the database 'x' is not a number"),
        ("redis+cluster://u:secret@a:port", "'a:port' is not host:port"),
        ("redis+cluster://u:secret@a,,b", "'' is not host:port"),
        ("redis://u:secret@host:port/0", "redis://host:port/0: ValueError in its options"),
        ("redis://u:secret@host/0?socket_timeout=soon", "in its options"),
    ],
)
def test_a_url_that_cannot_be_used_is_one_sentence_without_its_secrets(url: str, says: str) -> None:
    with pytest.raises(ServerUrlError, match=says) as refused:
        connect(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("make", [connect, connect_async])
def test_a_client_decodes_times_out_and_retries_nothing(make: Any) -> None:
    client = make("redis://127.0.0.1:1/2", block_s=30)
    options = client.connection_pool.connection_kwargs
    assert options["decode_responses"] is True
    assert options["socket_timeout"] == TIMEOUT_S + 30
    assert options["retry"].get_retries() == 0
    assert options["db"] == 2


def test_an_authority_is_for_tls_only() -> None:
    assert connect("rediss://h", ca="/ca.pem").connection_pool.connection_kwargs["ssl_ca_certs"] == "/ca.pem"  # type: ignore[union-attr]
    assert "ssl_ca_certs" not in connect("redis://h", ca="/ca.pem").connection_pool.connection_kwargs  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("error", "maybe_done"),
    [
        (exceptions.ConnectionError("Connection closed by server."), True),
        (exceptions.TimeoutError("Timeout reading from socket"), True),
        (OSError("broken pipe"), True),
        (TimeoutError(), True),
        (exceptions.RedisClusterException("Redis Cluster cannot be connected."), True),
        (exceptions.BusyLoadingError("loading"), False),
        (exceptions.ReadOnlyError("You can't write against a read only replica."), False),
        (exceptions.ClusterDownError("CLUSTERDOWN The cluster is down"), False),
        (exceptions.SlotNotCoveredError("Slot 5 is not covered"), False),
        (exceptions.ResponseError("BUSY Redis is busy running a script"), False),
        (exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."), False),
        (exceptions.ResponseError("Error running script (call to f_1): @user_script:3: -READONLY You can't"), False),
    ],
    ids=repr,
)
def test_an_outage(error: Exception, maybe_done: bool) -> None:
    fault = translate(error)
    assert isinstance(fault, RedisAwayError)
    assert fault.maybe_done is maybe_done


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (exceptions.NoPermissionError("this user has no permissions"), "NOPERM"),
        (exceptions.AuthenticationError("invalid username-password pair"), "NOAUTH"),
        (exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), "OOM"),
        (exceptions.ResponseError("WRONGTYPE Operation against a key"), "WRONGTYPE"),
        (exceptions.ResponseError("WRONGTYPE Operation against a key script: 5, on @user_script:63."), "WRONGTYPE"),
        (
            exceptions.ResponseError("Error running script (call to f_1): @user_script:63: WRONGTYPE Operation"),
            "WRONGTYPE",
        ),
        (exceptions.ResponseError("Error running script (call to f_1): @user_script: 3: -NOPERM this"), "NOPERM"),
        (
            exceptions.ResponseError("user_script:478: Cannot serialise number script: 8, on @user_script:478."),
            "SCRIPT",
        ),
        (exceptions.ResponseError("MISCONF Redis is configured to save RDB snapshots"), "MISCONF"),
    ],
    ids=repr,
)
def test_a_refusal(error: Exception, kind: str) -> None:
    fault = translate(error)
    assert isinstance(fault, RedisRefusedError)
    assert fault.kind == kind


def test_what_a_server_said_is_cut() -> None:
    assert len(str(translate(exceptions.ResponseError("x" * 9999)))) == 256


@pytest.mark.parametrize(
    ("server", "memory", "says"),
    [
        ({"redis_version": "6.2.0"}, {"maxmemory_policy": "noeviction"}, None),
        ({"redis_version": "10.0.1"}, {}, None),
        ({"redis_version": "6.0.16"}, {}, "Redis 6.0.16 is too old: Bullpen needs 6.2 or later"),
        ({}, {}, "Redis of unknown version is too old: Bullpen needs 6.2 or later"),
        ({"redis_version": "7.2.4"}, {"maxmemory_policy": "volatile-lru"}, "Redis may evict jobs"),
    ],
)
def test_a_server_is_judged_by_what_it_says(server: Any, memory: Any, says: str | None) -> None:
    said = problem(server, memory)
    assert said == says if says is None else str(said).startswith(says)


def test_clients_of_every_supported_release_know_the_errors() -> None:
    assert tuple(int(part) for part in redis.__version__.split(".")[:2]) >= (6, 2)
