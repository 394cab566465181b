"""OntoWeb-PT as it is: its own API server adds the jobs and reads the results, Bullpen stands where its worker stood.

ONTOWEBPT_REPO names a clone of the platform's repository; nothing of it is kept here, and nothing of it is changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest

from fakes.attempts import eventually
from servers.graph import MEMORY, GraphServer, embedded, rdf4j, rdf4j_repository
from servers.local import BullpenLocal
from servers.ontowebpt import Api, Browser, api_server, server_folder
from servers.redis import RedisServer, free_port
from support import ROOT

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("ontowebpt")]

MANIFESTS: Final = ("jobqueue-http.yaml", "jobqueue-sparql.yaml", "jobqueue-techstack.yaml", "jobqueue-sast.yaml")
TRAFFIC: Final = json.loads((ROOT / "examples" / "traffic" / "vulpy.json").read_text())["payload"]["items"]
INSERT: Final = "INSERT DATA { GRAPH <urn:g> { <urn:s> <urn:p> 'é 😀' } }"

UNUSUAL: Final = {
    "id": "req/1 (a)",
    "method": "POST",
    "uri": {"full": "https://shop.example/é?q=%3Cb%3E", "scheme": "https", "authority": "shop.example", "path": "/é"},
    "httpVersion": "HTTP/1.1",
    "requestHeaders": [{"name": "x-name", "value": 'quote " and \\ and é 😀'}],
    "response": {"status": 404, "reason": "Not Found"},
}


@dataclass
class Platform:
    """All that runs."""

    api: Api
    graph: GraphServer
    browser: Browser


@contextmanager
def own_store(folder: Path) -> Iterator[GraphServer]:
    """The embedded one."""
    with embedded(folder) as graph:
        yield graph


@contextmanager
def rdf4j_with_a_password(folder: Path) -> Iterator[GraphServer]:
    """The web layer of GraphDB."""
    with rdf4j(folder, "bullpen", "secret") as server:
        yield rdf4j_repository(server, "ontowebpt", MEMORY)


@pytest.fixture(scope="module", params=[own_store, rdf4j_with_a_password])
def platform(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    server = server_folder()
    folder, port = tmp_path_factory.mktemp("platform"), free_port()
    (folder / "graph").mkdir()
    with ExitStack() as stack:
        graph = stack.enter_context(request.param(folder / "graph"))
        redis = stack.enter_context(RedisServer())
        local = serve(folder, redis.url, graph, f"http://127.0.0.1:{port}/logs")
        stack.callback(local.close)
        base = graph.query_url.replace("//", f"//{graph.username}:{graph.password}@") if graph.username else None
        api = stack.enter_context(api_server(server, port, redis.url, base or graph.query_url, folder / "api.log"))
        browser = stack.enter_context(Browser().at(api, [str(number) for number in range(1, 20)]))
        yield Platform(api, graph, browser)
        assert local.interrupt() == 0, local.errors()


def serve(folder: Path, redis_url: str, graph: GraphServer, logs_url: str) -> BullpenLocal:
    """Serve the manifests as they are in the repository."""
    manifest = "\n---\n".join((ROOT / "manifests" / name).read_text() for name in MANIFESTS)
    options = ["--redis-url", redis_url, "--graph-url", graph.query_url]
    environment = {"LOGS_WS_URL": logs_url}
    if graph.username:
        options += ["--graph-username", graph.username]
        environment["BULLPEN_GRAPH_PASSWORD"] = graph.password or ""
    local = BullpenLocal(folder, manifest, *options, environment=environment)
    local.start()
    return local


def ingested(platform: Platform, items: list[dict[str, Any]], **more: Any) -> tuple[str, dict[str, Any]]:
    status, said = platform.api.post("/http-requests/ingest-http", {"items": items, **more})
    job_id = said["resRequest"]["jobId"]
    assert (status, said["resRequest"]) == (202, {"accepted": True, "jobId": job_id, "count": len(items)})
    return job_id, said


def in_order(item: dict[str, Any]) -> dict[str, Any]:
    """An exchange with its headers sorted: a graph keeps no order."""
    response = item.get("response", {})
    headers = {"headers": _sorted(response["headers"])} if "headers" in response else {}
    return {**item, "requestHeaders": _sorted(item["requestHeaders"]), "response": {**response, **headers}}


def _sorted(headers: list[dict[str, str]]) -> list[dict[str, str]]:
    return sorted(headers, key=lambda header: (header["name"], header["value"]))


def test_requests_that_are_posted_are_stored_and_read_back_by_the_api(platform: Platform) -> None:
    items = [*TRAFFIC[:3], UNUSUAL]
    job_id, _ = ingested(platform, items)
    value = {"status": 204, "count": 4, "payload": items}

    event = platform.browser.await_event("http", job_id)
    assert event == ("completed", {"queue": "http", "jobId": job_id, "prev": "active", "returnvalue": value})
    status, result = platform.api.get("http-requests", "results", job_id)
    created, finished = result.pop("createdAt"), result.pop("finishedAt")
    assert (status, result) == (200, {"jobId": job_id, "state": "completed", "result": value})
    assert created <= finished

    for item in items:
        status, found = platform.api.get("http-requests", item["id"])
        assert status == 200
        assert in_order({key: found[key] for key in item}) == in_order(item)
    status, listed = platform.api.get("http-requests", "list?limit=100")
    assert (status, listed["page"]["total"]) == (200, 4)
    shown = [item["id"] for item in listed["items"]]
    print(f"{platform.graph.name}: job {job_id} {event[0]}, {listed['page']['total']} requests, {len(shown)} listed")
    # the route's query looks at a variable from outside its group, which GraphDB and RDF4J allow and SPARQL does not
    assert shown == ([] if platform.graph.name == "embedded" else sorted(item["id"] for item in items))


def test_an_update_that_is_posted_is_done_and_can_be_queried(platform: Platform) -> None:
    status, said = platform.api.post("/sparql/update", {"sparqlUpdate": INSERT})
    job_id = said["jobId"]
    assert (status, said) == (202, {"accepted": True, "jobId": job_id})
    expected = {"queue": "sparql", "jobId": job_id, "prev": "active", "returnvalue": {"status": 204}}
    assert platform.browser.await_event("sparql", job_id) == ("completed", expected)
    query = "SELECT ?o { GRAPH <urn:g> { <urn:s> <urn:p> ?o } }"
    status, answer = platform.api.post("/sparql/query", {"sparql": query})
    print(f"{platform.graph.name}: update {job_id} completed, the store says {answer['data']['results']['bindings']}")
    assert (status, [row["o"]["value"] for row in answer["data"]["results"]["bindings"]]) == (200, ["é 😀"])


def test_a_job_that_can_not_be_done_fails_once_with_its_reason(platform: Platform) -> None:
    job_id, _ = ingested(platform, [{**TRAFFIC[3], "graph": "no iri"}])
    reason = "Invalid graph: that of item 0 is not an absolute IRI"
    failed = {"queue": "http", "jobId": job_id, "prev": "active", "failedReason": reason}
    assert platform.browser.await_event("http", job_id) == ("failed", failed)
    status, result = platform.api.get("http-requests", "results", job_id)
    assert (status, result["state"], result["result"]) == (200, "failed", None)
    assert platform.api.get("http-requests", TRAFFIC[3]["id"])[0] == 404, "nothing was written"
    said = f"http-ingest {job_id}, attempt 1: unrecoverable: {reason}"
    assert platform.browser.await_entry("worker:http", said)["level"] == "warn"


def test_an_update_that_the_store_refuses_fails_with_the_stores_words(platform: Platform) -> None:
    _, said = platform.api.post("/sparql/update", {"sparqlUpdate": "INSERT NONSENSE"})
    name, event = platform.browser.await_event("sparql", said["jobId"])
    refused = "the graph store refused the write: it answered 400 Bad Request: MALFORMED "
    assert (name, event.pop("failedReason")[: len(refused)]) == ("failed", refused)
    print(f"{platform.graph.name}: update {said['jobId']} {name}, once")
    assert event == {"queue": "sparql", "jobId": said["jobId"], "prev": "active"}


def test_findings_of_posted_requests_are_stored_and_read_back_by_the_api(platform: Platform) -> None:
    _, said = ingested(platform, TRAFFIC, activateResolver=True)
    job_id = said["resResolver"]["jobId"]
    assert said["resResolver"] == {"accepted": True, "jobId": job_id, "count": len(TRAFFIC)}

    name, event = platform.browser.await_event("http", job_id)
    assert (name, event["returnvalue"]["insertStatus"]) == ("completed", 204)
    assert platform.api.get("http-requests", "results", job_id)[1]["result"] == event["returnvalue"]
    result = event["returnvalue"]["result"]
    assert len(result["findings"]) == result["totalFindings"] > 0

    found = {iri_of(finding): finding for finding in result["findings"]}
    status, listed = platform.api.get("http-requests", "finding", "list?limit=1000")
    print(f"{platform.graph.name}: job {job_id} {name}, {result['stats']}, {listed['page']['total']} findings listed")
    assert (status, listed["page"]["total"], sorted(listed["items"])) == (200, len(found), sorted(found))
    for iri, finding in found.items():
        status, shown = platform.api.get("http-requests", "finding", iri)
        assert (status, shown["id"]) == (200, iri)
        told = (
            finding["ruleId"],
            finding["severity"].upper(),
            finding["description"],
            finding["owasp"],
            finding["url"],
        )
        fields = (
            shown["ruleId"],
            shown["severity"],
            shown["description"],
            shown["owaspCategory"],
            shown["http"]["url"],
        )
        assert fields == told
        assert finding["httpContext"]["requestIri"] in shown["relatedHttp"]


def iri_of(finding: dict[str, Any]) -> str:
    return "urn:finding:" + quote(f"http:{finding['ruleId']}:{finding['requestId']}", safe="!*'()")


PAGE: Final = {
    "url": "https://shop.example/p",
    "html": '<form action="http://other.example/"><input name="é 😀"></form><a onclick="eval(name)">x</a>',
    "scripts": [{"src": "https://shop.example/a.js", "code": "document.body.innerHTML = location.hash.slice(1);"}],
    "forms": [{"action": "http://other.example/", "method": "get", "inputs": ["é 😀"]}],
}


def test_findings_of_a_posted_page_are_stored_and_read_back_by_the_api(platform: Platform) -> None:
    status, said = platform.api.post("/analyzer/analyze", PAGE)
    assert (status, said["accepted"]) == (202, True)
    name, event = platform.browser.await_event("analyzer", said["jobId"])
    value = event["returnvalue"]
    assert (name, value["insertStatus"]) == ("completed", 204)
    assert platform.api.get("analyzer", "results", said["jobId"])[1]["result"] == value

    found = {"urn:finding:" + quote(one["findingId"], safe="!*'()"): one for one in value["result"]["findings"]}
    assert [one["ruleId"] for one in found.values() if one["severity"] == "high"] != []
    status, listed = platform.api.get("analyzer", "finding", "list?limit=1000")
    total, stats = listed["page"]["total"], value["result"]["stats"]
    print(f"{platform.graph.name}: page {said['jobId']} {name}, {stats}, {total} findings listed")
    assert (status, total, sorted(listed["items"])) == (200, len(found), sorted(found))
    for iri, finding in found.items():
        status, shown = platform.api.get("analyzer", "finding", iri)
        told = (iri, finding["ruleId"], finding["severity"].upper(), finding["description"], finding["category"])
        fields = (shown["id"], shown["ruleId"], shown["severity"], shown["description"], shown["findingCategory"])
        assert (status, fields) == (200, told)


def test_the_dashboards_log_shows_what_runners_say_and_each_attempt_once(platform: Platform) -> None:
    """A runner that ends before it is connected may not be heard; so several are given the chance."""
    for _ in range(10):
        job_id, _said = ingested(platform, TRAFFIC)
        settled = platform.browser.await_entry("worker:http", f"http-ingest {job_id}, attempt 1: completed")
        assert (list(settled), settled["level"]) == (["ts", "level", "ns", "msg"], "info")
        if platform.browser.runner_said("http-requests-writes", job_id) == [
            "started",
            "written to the graph",
            "completed",
        ]:
            break
    else:
        pytest.fail(f"no runner was heard: {platform.browser.entries}")
    jobs = [(event["queue"], event["jobId"]) for _, event in platform.browser.events]
    ends = eventually(lambda: len(ends_in(platform.browser)) >= len(jobs) and ends_in(platform.browser), "every end")
    print(f"{platform.graph.name}: {len(jobs)} jobs, {len(ends)} entries of the operator")
    assert len(ends) == len(set(ends)) == len(jobs) == len(set(jobs))


def ends_in(browser: Browser) -> list[str]:
    return [entry["msg"] for entry in browser.entries if entry["ns"].startswith("worker:")]
