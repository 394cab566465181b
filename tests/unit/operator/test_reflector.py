"""The mirror against an API server that misbehaves: nothing is lost, a failed list is never an empty one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from kubernetes.aio.client import ApiClient, Configuration

from bullpen_operator.kube import KubeApi, KubeAwayError
from bullpen_operator.reflector import Pace, Reflector
from fakes.api_server import FakeApiServer, status, until

PODS = "/api/v1/namespaces/ns/pods"
QUICK = Pace(resync_s=60, silence_s=0.2, first_delay_s=0.01, longest_delay_s=0.02, between_s=0.01)


def pod(name: str, value: str = "", **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"ours": "yes", **labels}}, "value": value}


def translate(item: Mapping[str, Any]) -> str | None:
    return f"{item['metadata']['name']}={item['value']}"


class Mirror:
    def __init__(self, server: FakeApiServer, reflector: Reflector[str], heard: list[str]) -> None:
        self.server, self.reflector, self.heard = server, reflector, heard

    async def until_watched(self, times: int = 1) -> None:
        await until(lambda: len(self.server.asked("GET", watch=True)) >= times)


@asynccontextmanager
async def mirror(server: FakeApiServer, pace: Pace = QUICK) -> AsyncIterator[Mirror]:
    url = await server.start()
    heard: list[str] = []
    api = KubeApi(ApiClient(Configuration(host=url)), timeout_s=2)
    reflector = Reflector(api, PODS, "ours=yes", translate, heard.append, pace)
    running = asyncio.create_task(reflector.run())
    try:
        yield Mirror(server, reflector, heard)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await api.close()


async def test_it_lists_in_pages_then_hears_what_changes(server: FakeApiServer) -> None:
    server.page = 2
    for number in range(5):
        await server.put(PODS, pod(f"p{number}"))
    await server.put(PODS, {"metadata": {"name": "foreign"}, "value": ""})
    async with mirror(server) as seen:
        await seen.until_watched()
        assert sorted(seen.reflector.objects) == ["p0", "p1", "p2", "p3", "p4"]
        await server.put(PODS, pod("p0", "new"))
        await server.put(PODS, pod("p5"))
        await server.remove(PODS, "p1")
        await until(lambda: len(seen.heard) == 8)
        assert seen.heard[5:] == ["p0=new", "p5=", "p1="]
        assert sorted(seen.reflector.objects.values()) == ["p0=new", "p2=", "p3=", "p4=", "p5="]
    assert len([r for r in server.asked("GET") if "continue" in r[2]]) == 2
    assert all(r[2]["labelSelector"] == "ours=yes" for r in server.requests)


async def test_a_bookmark_moves_the_place_where_the_next_watch_begins(server: FakeApiServer) -> None:
    async with mirror(server) as seen:
        await seen.until_watched()
        await server.bookmark(PODS)
        await until(lambda: seen.reflector.events == 1)
        assert seen.reflector.age_s < 1
        await server.cut_streams()
        await seen.until_watched(2)
        assert server.asked("GET", watch=True)[-1][2]["resourceVersion"] == "1"
        assert seen.reflector.lists == 1, "a stream that broke lost nothing: no list"


@pytest.mark.parametrize("how", ["as-a-status", "as-an-event"])
async def test_gone_history_is_listed_again_and_what_vanished_meanwhile_is_passed_on(
    server: FakeApiServer, how: str
) -> None:
    await server.put(PODS, pod("stays"))
    await server.put(PODS, pod("vanishes"))
    async with mirror(server) as seen:
        await seen.until_watched()
        seen.heard.clear()
        await server.remove(PODS, "vanishes", unheard=True)
        server.compact()
        await (server.cut_streams() if how == "as-a-status" else server.error(PODS, 410))
        await until(lambda: seen.reflector.lists == 2)
        assert seen.heard == ["vanishes="], "the tombstone alone: what stayed the same is no news"
        assert list(seen.reflector.objects) == ["stays"]


async def test_a_half_open_stream_is_dropped_after_silence_and_nothing_is_lost(server: FakeApiServer) -> None:
    async with mirror(server) as seen:
        await seen.until_watched()
        server.silent = True
        await server.put(PODS, pod("unheard"))
        await seen.until_watched(2)
        server.silent = False
        await server.put(PODS, pod("heard"))
        await until(lambda: len(seen.heard) == 2)
        assert seen.heard == ["unheard=", "heard="]
        assert seen.reflector.lists == 1


async def test_a_list_that_fails_leaves_the_mirror_as_it_was(server: FakeApiServer) -> None:
    await server.put(PODS, pod("stays"))
    async with mirror(server) as seen:
        await seen.until_watched()
        server.compact()
        await server.put(PODS, pod("more"))
        server.compact()
        server.fail_next = [status(410, "Expired"), *[status(500, "InternalError") for _ in range(3)]]
        seen.heard.clear()
        await server.cut_streams()
        await until(lambda: seen.reflector.lists == 2)
        assert sorted(seen.reflector.objects) == ["more", "stays"]
        assert "stays=" not in seen.heard


async def test_retry_after_is_obeyed(server: FakeApiServer) -> None:
    server.fail_next = [status(429, "TooManyRequests", headers={"Retry-After": "1"})]
    started = asyncio.get_running_loop().time()
    async with mirror(server) as seen:
        await until(seen.reflector.synced.is_set)
        assert asyncio.get_running_loop().time() - started >= 1
        assert len(server.requests) == 2 or server.requests[1][2].get("watch") is None


async def test_everything_is_listed_again_now_and_then(server: FakeApiServer) -> None:
    pace = Pace(resync_s=0, silence_s=0.05, first_delay_s=0.01, longest_delay_s=0.02, between_s=0.01)
    async with mirror(server, pace) as seen:
        await until(lambda: seen.reflector.lists >= 2)


async def test_a_refused_watch_does_not_end_the_mirror(server: FakeApiServer) -> None:
    server.fail_next = [None, status(403, "Forbidden"), None, status(500, "InternalError")]
    async with mirror(server) as seen:
        await until(lambda: seen.reflector.lists == 3)
        await server.put(PODS, pod("later"))
        await until(lambda: seen.heard == ["later="])


async def test_an_object_that_is_no_longer_ours_leaves_the_mirror(server: FakeApiServer, api: KubeApi) -> None:
    heard: list[str] = []
    reflector: Reflector[str] = Reflector(
        api, PODS, "ours=yes", lambda i: translate(i) if i["value"] != "foreign" else None, heard.append, QUICK
    )
    running = asyncio.create_task(reflector.run())
    seen = Mirror(server, reflector, heard)
    await seen.until_watched()
    await server.put(PODS, pod("p", "ours"))
    await server.put(PODS, pod("p", "foreign"))
    await until(lambda: len(heard) == 2)
    assert heard == ["p=ours", "p=ours"], "its last known state is passed on"
    assert reflector.objects == {}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_an_unreachable_server_is_an_error_of_ours() -> None:
    api = KubeApi(ApiClient(Configuration(host="http://127.0.0.1:1")))
    with pytest.raises(KubeAwayError):
        await api.objects(PODS)
    await api.close()
