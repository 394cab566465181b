"""Every form of a server's URL, the least a user must be allowed, and servers that are not fit."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from bullpen_protocol.bullmq import (
    AsyncQueue,
    Claimed,
    Finish,
    HoldResult,
    QueueError,
    RedisAwayError,
    RedisRefusedError,
    SyncQueue,
    connect,
    connect_async,
    wait_any,
)
from fakes.plan import claim, new_token, run_all
from fakes.redis_proxy import Fault, RedisProxy, script
from servers.pools import Connect
from servers.redis import RedisServer, free_port
from servers.redis_kinds import Sentinel, cluster, cluster_behind, tls_options
from support import ROOT, require

L = 30_000
PLANS = ['{"plan":[{"return":1}]}', '{"plan":[{"throw":"no"},{"return":2}]}', '{"plan":[{"throw":"never"}]}']


def every_kind_of_job(queue: SyncQueue) -> None:
    """Add jobs of all kinds, run them to their ends, use what else there is."""
    for number, plan in enumerate(PLANS):
        opts = {"attempts": 2, "backoff": number, "removeOnComplete": {"age": 9, "count": 5}, "removeOnFail": 3}
        queue.add("standard", plan, opts)
        queue.add("later", plan, {**opts, "delay": 5})
        queue.add("first", plan, {**opts, "priority": 2, "lifo": True}, f"own-{number}")
    queue.add("twice", "{}", {"deduplication": {"id": "one"}})
    token = new_token()
    job = claim(queue, token).job
    assert queue.hold(job.id, token, token, L) is HoldResult.HELD
    assert queue.extend(job.id, token, L)
    assert queue.extend_many([job.id], [token], L) == []
    assert queue.progress(job.id, 50)
    assert queue.log(job.id, "line", 5) == 1
    queue.stalled(1, 1)
    queue.give_back(job, token, 1)
    assert run_all(queue) == 16  # of the three plans one takes a single attempt, and there is one job more
    assert not queue.paused()
    queue.nudge()
    assert queue.check_server() is None
    assert (queue.counts()["active"], queue.counts()["failed"]) == (0, 3)


@pytest.fixture(scope="module")
def three_nodes() -> Iterator[list[RedisServer]]:
    require("redis-server on PATH")
    with cluster() as servers:
        yield servers


def test_a_cluster_serves_queues_with_a_tagged_prefix(three_nodes: list[RedisServer]) -> None:
    client = connect(f"redis+cluster://127.0.0.1:{three_nodes[0].port},127.0.0.1:{three_nodes[1].port}")
    for prefix in ("{a}", "{b}", "{c}", "{bull}:x"):
        every_kind_of_job(SyncQueue(client, "q", prefix))
    assert {server.port for server in three_nodes if _size(server)} == {server.port for server in three_nodes}
    client.close()


async def test_a_cluster_serves_the_async_client_too(three_nodes: list[RedisServer]) -> None:
    client = connect_async(f"redis+cluster://127.0.0.1:{three_nodes[2].port}", block_s=2)
    queues = [AsyncQueue(client, name, "{async}") for name in ("a", "b")]
    job_id = await queues[1].add("n", "{}", {"attempts": 2})
    assert await wait_any(client, queues, 1) is queues[1]
    claimed = await queues[1].claim("T", L)
    assert isinstance(claimed, Claimed)
    assert await queues[1].hold(job_id, "T", "T#u", L) is HoldResult.HELD
    assert (await queues[1].location(job_id)).lock == "T#u"
    assert await queues[1].complete(claimed.job, "T#u", "1") is Finish.COMPLETED
    assert await queues[1].check_server() is None
    await client.aclose()


def test_a_cluster_refuses_a_prefix_without_a_tag_before_anything_is_sent(three_nodes: list[RedisServer]) -> None:
    client = connect(f"redis+cluster://127.0.0.1:{three_nodes[0].port}")
    with pytest.raises(ValueError, match=r"needs a hash tag: \{bull\} instead of bull"):
        SyncQueue(client, "q")
    client.close()


@pytest.fixture(scope="module")
def cluster_proxy() -> Iterator[RedisProxy]:
    """A cluster whose every answer comes through here."""
    require("redis-server on PATH")
    proxies: list[RedisProxy] = []

    def announce(port: int) -> int:
        proxies.append(RedisProxy(port))
        return proxies[0].port

    with cluster_behind(announce):
        yield proxies[0]
        proxies[0].close()


@pytest.mark.parametrize("fault", [Fault.LOSE_REPLY, Fault.CUT])
def test_a_clusters_client_sends_no_claim_and_no_finish_twice(cluster_proxy: RedisProxy, fault: Fault) -> None:
    client = connect(f"redis+cluster://127.0.0.1:{cluster_proxy.port}")
    queue = SyncQueue(client, "q", f"{{{fault.name}}}")
    for _ in range(3):
        queue.add("n", "{}")
    warm = claim(queue).job
    queue.complete(warm, warm.pb or "", "1")

    lost = cluster_proxy.on(script("moveToActive-11"), fault)
    if fault is Fault.CUT:
        with pytest.raises(RedisAwayError):
            queue.claim("T", L)
        assert queue.active_ids() == []
    claimed = queue.claim("T", L)
    assert isinstance(claimed, Claimed)
    assert queue.active_ids() == [claimed.job.id]

    finish = cluster_proxy.on(script("moveToFinished-14"), fault)
    assert queue.complete(claimed.job, "T", "1") is Finish.COMPLETED
    assert (lost.done, finish.done) == (1, 1)
    assert (queue.counts()["completed"], queue.counts()["wait"]) == (2, 1)
    client.close()


async def test_the_async_clusters_client_neither(cluster_proxy: RedisProxy) -> None:
    client = connect_async(f"redis+cluster://127.0.0.1:{cluster_proxy.port}")
    queue = AsyncQueue(client, "q", "{async}")
    for _ in range(2):
        await queue.add("n", "{}")
    lost = cluster_proxy.on(script("moveToActive-11"), Fault.LOSE_REPLY)
    claimed = await queue.claim("T", L)
    assert isinstance(claimed, Claimed)
    finish = cluster_proxy.on(script("moveToFinished-14"), Fault.LOSE_REPLY)
    assert await queue.complete(claimed.job, "T", "1") is Finish.COMPLETED
    assert (lost.done, finish.done) == (1, 1)
    assert (await queue.counts())["completed"] == 1
    assert (await queue.counts())["wait"] == 1
    await client.aclose()


def _size(server: RedisServer) -> int:
    with redis.Redis.from_url(server.url) as client:
        return int(client.dbsize())


def test_sentinel_finds_the_master_and_follows_a_failover() -> None:
    program = require("redis-server on PATH")
    with (
        RedisServer(program) as master,
        RedisServer(program, options={"replicaof": f"127.0.0.1 {master.port}"}) as other,
    ):
        sentinel = Sentinel(master)
        client = connect(f"redis+sentinel://127.0.0.1:{sentinel.port}/the-master/0")
        plain: Any = client
        queue = SyncQueue(client, "q")
        try:
            job_id = queue.add("n", "{}")
            claimed = claim(queue, "T")
            sentinel.await_replicas(1)
            assert plain.execute_command("WAIT", 1, 9000) == 1
            master.kill()
            with pytest.raises(RedisAwayError):
                queue.complete(claimed.job, "T", "1")
            sentinel.await_master(other.port)
            assert until_it_is_back(lambda: queue.complete(claimed.job, "T", "1")) is Finish.COMPLETED
            assert queue.state(job_id) == "completed"
        finally:
            client.close()
            sentinel.close()


@pytest.fixture
def service() -> Iterator[tuple[RedisProxy, RedisServer, RedisServer]]:
    """One address before a master and its replica, as a Kubernetes Service is; new connections go to `server_port`."""
    program = require("redis-server on PATH")
    with (
        RedisServer(program) as master,
        RedisServer(program, options={"replicaof": f"127.0.0.1 {master.port}"}) as replica,
    ):
        proxy = RedisProxy(master.port)
        yield proxy, master, replica
        proxy.close()


def hand_over(proxy: RedisProxy, old: RedisServer, new: RedisServer) -> None:
    """Fail over in good order: the old one follows the new one, and every connection to it stays open."""
    with redis.Redis.from_url(old.url, decode_responses=True) as client:
        until_true(lambda: client.info("replication").get("slave0", {}).get("state") == "online")
        client.execute_command("FAILOVER", "TO", "127.0.0.1", new.port)
        until_true(lambda: client.info("replication")["role"] == "slave")
    proxy.server_port = new.port


def until_true(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_client_leaves_a_server_that_became_a_replica(service: tuple[RedisProxy, RedisServer, RedisServer]) -> None:
    proxy, master, replica = service
    client = connect(proxy.url)
    queue = SyncQueue(client, "q")
    job_id, other = queue.add("n", "{}"), queue.add("n", "{}")
    claimed = claim(queue, "T")
    hand_over(proxy, master, replica)
    with pytest.raises(RedisAwayError, match="read only replica"):
        queue.claim("T2", L)
    assert queue.complete(claimed.job, "T", "1") is Finish.COMPLETED, "the next try is a new connection's"
    assert claim(queue, "T2").job.id == other
    assert queue.state(job_id) == "completed"
    client.close()


async def test_an_async_client_and_one_that_blocks_leave_a_server_that_became_a_replica(
    service: tuple[RedisProxy, RedisServer, RedisServer],
) -> None:
    proxy, master, replica = service
    client, blocking = connect_async(proxy.url), connect_async(proxy.url, block_s=20)
    queue = AsyncQueue(client, "q")
    await queue.counts()
    waiting = asyncio.create_task(wait_any(blocking, [queue], 20))
    await asyncio.to_thread(hand_over, proxy, master, replica)
    with pytest.raises(RedisAwayError, match="UNBLOCKED"):
        await waiting
    with pytest.raises(RedisAwayError, match="read only replica"):
        await queue.add("n", "{}")
    await queue.add("n", "{}")
    assert await wait_any(blocking, [queue], 5) is queue
    assert isinstance(await queue.claim("T", L), Claimed)
    await client.aclose()
    await blocking.aclose()


def until_it_is_back(call: Callable[[], Finish]) -> Finish:
    """What every caller does with an outage: call again."""
    for _ in range(200):
        try:
            return call()
        except RedisAwayError:
            time.sleep(0.05)
    raise AssertionError("Redis did not come back")


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Path]]:
    """URL with TLS, the unix socket's, and the authority's file."""
    folder = tmp_path_factory.mktemp("tls")
    port = free_port()
    with RedisServer(require("redis-server on PATH"), options=tls_options(folder, port)) as server:
        yield f"rediss://127.0.0.1:{port}/0", server.unix_url, folder / "ca.pem"


@pytest.mark.parametrize("given", [str, Path.read_text], ids=["path", "text"])
def test_tls_with_an_authority_of_ones_own(
    tls: tuple[str, str, Path], prefix: str, given: Callable[[Path], str]
) -> None:
    client = connect(tls[0], ca=given(tls[2]))
    every_kind_of_job(SyncQueue(client, "q", prefix))
    client.close()


@pytest.mark.parametrize("given", [str, Path.read_text], ids=["path", "text"])
async def test_tls_with_the_async_client(tls: tuple[str, str, Path], prefix: str, given: Callable[[Path], str]) -> None:
    client = connect_async(tls[0], ca=given(tls[2]))
    assert await AsyncQueue(client, "q", prefix).check_server() is None
    await client.aclose()


def test_a_certificate_nobody_vouches_for_is_an_outage_not_a_crash(tls: tuple[str, str, Path], prefix: str) -> None:
    client = connect(tls[0])
    with pytest.raises(RedisAwayError, match="certificate"):
        SyncQueue(client, "q", prefix).now_ms()
    client.close()


def test_a_unix_socket(tls: tuple[str, str, Path], prefix: str) -> None:
    client = connect(tls[1])
    every_kind_of_job(SyncQueue(client, "q", prefix))
    client.close()


def documented_acl() -> list[str]:
    """The rules for a user that docs/bullmq.md tells people to set."""
    block = re.search(r"ACL SETUSER bullpen on >PASSWORD (.+?)\n```", (ROOT / "docs/bullmq.md").read_text(), re.DOTALL)
    assert block is not None
    return block[1].replace("\\\n", " ").split()


def test_the_documented_user_is_allowed_all_that_is_needed_and_no_more(
    any_server: RedisServer, connected: Connect, prefix: str
) -> None:
    rules = [rule.replace("~bull:*", f"~{prefix}:*") for rule in documented_acl()]
    admin: Any = connected(any_server)
    user = f"u{prefix}"

    def as_user(allowed: list[str]) -> None:
        admin.execute_command("ACL", "SETUSER", user, "reset", "on", ">p@ss", *allowed)
        client = connect(f"redis://{user}:p%40ss@127.0.0.1:{any_server.port}/0")
        try:
            every_kind_of_job(SyncQueue(client, f"q{len(allowed)}{allowed[-1]}".replace(":", ""), prefix))
        finally:
            client.close()

    as_user(rules)
    with pytest.raises(RedisRefusedError):
        as_user([rule for rule in rules if rule != "+hset"])
    client = connect(f"redis://{user}:p%40ss@127.0.0.1:{any_server.port}/0")
    with pytest.raises(RedisRefusedError):
        SyncQueue(client, "q", "another").claim("T", L)
    client.close()


def test_a_wrong_password_is_refused_and_not_an_outage(server: RedisServer, client: Any, prefix: str) -> None:
    client.execute_command("ACL", "SETUSER", f"w{prefix}", "reset", "on", ">right", "~*", "+@all")
    wrong = connect(f"redis://w{prefix}:wrong@127.0.0.1:{server.port}/0")
    with pytest.raises(RedisRefusedError) as refused:
        SyncQueue(wrong, "q", prefix).claim("T", L)
    assert refused.value.kind == "NOAUTH"
    assert "wrong@" not in str(refused.value)
    with pytest.raises(RedisRefusedError, match="invalid username-password pair"):
        SyncQueue(wrong, "q", prefix).check_server()
    wrong.close()


def test_servers_that_are_not_fit_are_told_apart(client: redis.Redis, queue: SyncQueue, prefix: str) -> None:
    assert queue.check_server() is None
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        assert queue.check_server() == (
            "Redis may evict jobs: its maxmemory-policy is allkeys-lru; set it to noeviction"
        )
    finally:
        client.config_set("maxmemory-policy", "noeviction")


async def test_a_server_without_an_append_only_file_is_advised_to_keep_one(server: RedisServer, prefix: str) -> None:
    client = connect_async(server.url)
    queue = AsyncQueue(client, "q", prefix)
    assert "set appendonly yes" in str(await queue.advise_server())
    await client.config_set("appendonly", "yes")
    assert await queue.advise_server() is None
    await client.config_set("appendonly", "no")
    await client.aclose()


def test_a_user_without_info_is_told_so(server: RedisServer, client: Any, prefix: str) -> None:
    client.execute_command("ACL", "SETUSER", f"n{prefix}", "reset", "on", "nopass", "~*", "+@all", "-info")
    limited = connect(f"redis://n{prefix}:x@127.0.0.1:{server.port}/0")
    said = SyncQueue(limited, "q", prefix).check_server()
    assert said is not None
    assert said.startswith("Redis refuses INFO to this user")
    limited.close()


def test_a_server_out_of_memory_refuses_and_loses_nothing(prefix: str) -> None:
    with RedisServer() as server:
        client = connect(server.url)
        assert isinstance(client, redis.Redis)
        queue = SyncQueue(client, "q", prefix)
        job_id = queue.add("n", "{}")
        claimed = claim(queue, "T")
        client.config_set("maxmemory", 1)
        for move in (lambda: queue.add("n", "{}"), lambda: queue.claim("T2", L)):
            with pytest.raises(RedisRefusedError) as refused:
                move()
            assert refused.value.kind == "OOM"
        client.config_set("maxmemory", 0)
        assert queue.complete(claimed.job, "T", "1") is Finish.COMPLETED
        assert queue.state(job_id) == "completed"
        client.close()


def test_nobody_there_is_an_outage(prefix: str) -> None:
    client = connect(f"redis://127.0.0.1:{free_port()}/0")
    queue = SyncQueue(client, "q", prefix)
    for call in (queue.now_ms, lambda: queue.claim("T", L), lambda: queue.load("1")):
        with pytest.raises(RedisAwayError):
            call()
    client.close()
    with pytest.raises(RedisAwayError):
        connect(f"redis+cluster://127.0.0.1:{free_port()}")


def test_a_server_that_restarts_is_found_again(prefix: str) -> None:
    with RedisServer(options={"appendonly": "yes", "appendfsync": "always"}) as server:
        client = connect(server.url)
        queue = SyncQueue(client, "q", prefix)
        job_id = queue.add("n", "{}")
        claimed = claim(queue, "T")
        server.kill()
        with pytest.raises(RedisAwayError):
            queue.extend(job_id, "T", L)
        server.start()
        assert queue.extend(job_id, "T", L)
        assert queue.complete(claimed.job, "T", "1") is Finish.COMPLETED
        with pytest.raises(QueueError):
            queue.complete(claimed.job, "T", "1")
        client.close()
