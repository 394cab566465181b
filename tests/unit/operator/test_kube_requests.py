"""Requests to the API server are counted by what was asked, never by whom or what it was about."""

from __future__ import annotations

from collections import Counter

import pytest
from kubernetes.aio.client import ApiClient, Configuration

from bullpen_operator.kube import KubeApi, KubeAwayError, KubeRefusedError
from bullpen_operator.kube_paths import batch, core, jobqueues, resource_of, verb_of
from bullpen_operator.metrics import Metrics
from fakes.api_server import FakeApiServer, status


@pytest.mark.parametrize(
    ("method", "path", "query", "named"),
    [
        pytest.param("POST", batch("ns"), {}, "POST jobs", id="create"),
        pytest.param("GET", core("ns", "pods"), {}, "LIST pods", id="list"),
        pytest.param("GET", core("ns", "pods"), {"watch": "true"}, "WATCH pods", id="watch"),
        pytest.param("GET", core("ns", "pods", "a/b"), {}, "GET pods", id="get"),
        pytest.param("GET", f"{core('ns', 'pods', 'p')}/log", {}, "GET pods/log", id="log"),
        pytest.param("PATCH", jobqueues("ns", "q", "status"), {}, "PATCH jobqueues/status", id="status"),
        pytest.param("GET", "/api/v1/namespaces/ns", {}, "GET namespaces", id="namespace"),
        pytest.param("GET", "/api/v1/nodes/n", {}, "GET nodes", id="node"),
        pytest.param("GET", "/version", {}, "GET version", id="version"),
    ],
)
def test_a_request_is_named_as_a_role_names_it(method: str, path: str, query: dict[str, str], named: str) -> None:
    assert f"{verb_of(method, path, query)} {resource_of(path)}" == named


async def test_every_request_is_counted_once_whatever_came_of_it() -> None:
    server, counted = FakeApiServer(), Counter[tuple[str, str, str]]()
    host = await server.start()
    api = KubeApi(ApiClient(Configuration(host=host)), timeout_s=1, count=lambda *one: counted.update([one]))
    try:
        server.fail_next = [status(429, "TooManyRequests")]
        with pytest.raises(KubeRefusedError):
            await api.create(batch("ns"), {"metadata": {"name": "a"}})
        await api.create(batch("ns"), {"metadata": {"name": "a"}})
        assert await api.get(core("ns", "pods", "none")) is None
        await server.stop()
        with pytest.raises(KubeAwayError):
            await api.objects(core("ns", "pods"))
    finally:
        await api.close()
    assert counted == {
        ("POST", "jobs", "429"): 1,
        ("POST", "jobs", "200"): 1,
        ("GET", "pods", "404"): 1,
        ("LIST", "pods", "none"): 1,
    }


def test_requests_are_a_metric() -> None:
    metrics = Metrics()
    metrics.requested("POST", "jobs", "201")
    labels = {"verb": "POST", "resource": "jobs", "code": "201"}
    assert metrics.registry.get_sample_value("bullpen_kube_requests_total", labels) == 1


async def test_a_list_is_read_page_by_page_as_it_is_used(server: FakeApiServer, api: KubeApi) -> None:
    server.page = 2
    for number in range(5):
        await server.put(core("ns", "pods"), {"metadata": {"name": f"p{number}"}})
    pages = [len(server.requests) async for _ in api.each(core("ns", "pods"))]
    assert pages == [1, 1, 2, 2, 3]
