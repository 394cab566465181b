from __future__ import annotations

import gzip
import json
import subprocess
import sys
from base64 import b64encode
from typing import Any

import pytest

from bullpen_processors.api import Quads, UnusableInputError
from bullpen_processors.http.bodies import LIMIT, body_of
from bullpen_processors.http.ingest import HttpIngest
from bullpen_processors.http.resolver import HttpResolver
from fakes.processing import Processed, process

EX = "http://localhost/onto/ontowebpt#"
FINDINGS = "http://localhost/graphs/findings"


def resolve(*items: Any, **settings: Any) -> Processed:
    return process(HttpResolver(), {"list": list(items)}, settings)


def plain(identity: Any = "r1", url: str = "http://shop.example/", **more: Any) -> dict[str, Any]:
    return {"id": identity, "method": "get", "uri": {"full": url}, **more}


def findings(processed: Processed) -> dict[str, Any]:
    return {finding["ruleId"]: finding for finding in processed.value()["result"]["findings"]}


def triples(processed: Processed) -> list[tuple[str, str, str]]:
    """Return what is written as text: nothing of it is a triple term."""
    terms = [(quad.subject, quad.predicate, quad.object) for quad in processed.quads]
    return [(s.value, p.value, o.value) for s, p, o in terms]  # type: ignore[union-attr]


def objects(processed: Processed, subject: str, name: str) -> set[str]:
    return {o for s, p, o in triples(processed) if (s, p) == (subject, EX + name)}


def base64(data: bytes | str) -> str:
    return b64encode(data.encode() if isinstance(data, str) else data).decode()


def test_the_value_is_the_one_that_clients_read() -> None:
    processed = resolve(plain(response={"status": 200}), plain("r2", "https://shop.example/"))
    description = "The request went over HTTP, where anyone on the way can read and change it."
    assert processed.value(201) == {
        "result": {
            "ok": True,
            "totalFindings": 1,
            "stats": {"high": 1, "medium": 0, "low": 0},
            "findings": [
                {
                    "ruleId": "insecure-http",
                    "severity": "high",
                    "description": description,
                    "category": "Transport Security",
                    "owasp": "A05:2021 – Security Misconfiguration",  # noqa: RUF001
                    "url": "http://shop.example/",
                    "method": "get",
                    "responseStatus": 200,
                    "requestId": "r1",
                    "graph": "http://localhost/graphs/http-requests",
                    "resolver": "HttpResolverInstance",
                    "httpContext": {
                        "requestId": "r1",
                        "graph": "http://localhost/graphs/http-requests",
                        "requestIri": "urn:req:r1",
                        "uriIri": "urn:req:r1:uri",
                        "responseIri": "urn:req:r1:res",
                    },
                    "evidence": {
                        "kind": "transport",
                        "scheme": "http",
                        "uri": {"full": "http://shop.example/", "scheme": "http"},
                    },
                }
            ],
        },
        "insertStatus": 201,
    }
    assert processed.report.lines == ["1 findings in 2 requests: 1 high, 0 medium, 0 low"]
    assert processed.report.values == []


def test_a_long_list_reports_its_progress() -> None:
    assert resolve(*[plain(f"r{index}") for index in range(250)]).report.values == [40, 80]


def test_the_triples_are_those_of_the_ontology() -> None:
    processed = resolve(plain("a b(1)", response={"status": 200}))
    finding, request = "urn:finding:http%3Ainsecure-http%3Aa%20b(1)", "urn:req:a%20b(1)"
    assert {q.graph_name.value for q in processed.quads} == {FINDINGS}  # type: ignore[union-attr]
    said = {(p.rpartition("#")[2], o) for s, p, o in triples(processed) if s == finding}
    text = "The request went over HTTP, where anyone on the way can read and change it."
    assert said == {
        ("type", EX + "Finding"), ("type", EX + "HttpFinding"), ("label", text), ("findingDescription", text),
        ("findingCategory", "Transport Security"), ("findingRuleId", "insecure-http"), ("severity", "HIGH"),
        ("owaspCategory", "A05:2021 – Security Misconfiguration"),  # noqa: RUF001
        ("detectedByResolver", EX + "HttpResolverInstance"),
        ("aboutVulnerabilityType", EX + "UnknownVulnerabilityType"), ("httpFindingOfRequest", request),
        ("relatedToHTTP", request), ("relatedToHTTP", request + ":uri"), ("relatedToHTTP", request + ":res"),
        ("requestUrl", "http://shop.example/"), ("httpMethod", "GET"), ("responseStatus", "200"),
        ("evidenceKind", "transport"),
    }  # fmt: skip
    assert objects(processed, request, "hasHttpFinding") == {finding}
    assert len(processed.quads) == len(said) + 2  # and what the unknown type is


@pytest.mark.parametrize("payload", [None, {}, {"list": None}, {"list": {}}, {"list": "x"}, [], 5, {"items": []}])
def test_what_is_no_list_is_refused(payload: Any) -> None:
    with pytest.raises(UnusableInputError, match=r"^Missing or invalid requests list$"):
        process(HttpResolver(), payload)


@pytest.mark.parametrize("items", [[], [plain(url="https://shop.example/")], [None, 5, "x", True, []]])
def test_nothing_found_is_written_as_nothing(items: list[Any]) -> None:
    """The write is empty and not absent: what an earlier attempt of the job found goes."""
    processed = resolve(*items)
    assert processed.result.write == Quads([], findings=[])
    assert processed.value()["insertStatus"] is None
    assert processed.value()["result"]["stats"] == {"high": 0, "medium": 0, "low": 0}


def test_every_finding_is_named_as_one_of_the_job() -> None:
    processed = resolve(plain(), plain("r2"))
    assert isinstance(processed.result.write, Quads)
    assert [(resource.graph, resource.iri) for resource in processed.result.write.findings] == [
        (FINDINGS, "urn:finding:http%3Ainsecure-http%3Ar1"),
        (FINDINGS, "urn:finding:http%3Ainsecure-http%3Ar2"),
    ]
    assert processed.replaced == []


@pytest.mark.parametrize(
    ("item", "iri"),
    [
        pytest.param({"uri": {"full": "http://x.test/1"}}, "urn:finding:http%3Ainsecure-http%3Ahttp%3A%2F%2Fx.test%2F1",
                     id="url"),
        pytest.param({"id": "", "response": {"headers": [{"name": "server", "value": "a/1.1"}]}},
                     "urn:finding:http%3Aserver-fingerprint%3Aidx-0", id="neither"),
    ],
)  # fmt: skip
def test_a_request_without_id_has_findings_and_no_node(item: Any, iri: str) -> None:
    processed = resolve(item)
    [finding] = processed.value()["result"]["findings"]
    assert finding["httpContext"] == {"requestId": None, "graph": "http://localhost/graphs/http-requests"}
    assert {s for s, _, _ in triples(processed)} == {iri, EX + "UnknownVulnerabilityType"}
    assert objects(processed, iri, "relatedToHTTP") == set()


def test_of_a_finding_that_comes_twice_the_last_counts() -> None:
    processed = resolve(plain(url="http://x.test/1"), plain(url="http://x.test/2"))
    assert processed.value()["result"]["totalFindings"] == 2
    assert objects(processed, "urn:finding:http%3Ainsecure-http%3Ar1", "requestUrl") == {"http://x.test/2"}


def test_an_id_with_half_a_surrogate_pair_is_replaced() -> None:
    processed = resolve(plain("a\ud800"))
    assert findings(processed)["insecure-http"]["requestId"] == "a\ud800"
    assert objects(processed, "urn:req:a%EF%BF%BD", "hasHttpFinding") == {
        "urn:finding:http%3Ainsecure-http%3Aa%EF%BF%BD"
    }


def test_hits_name_the_nodes_that_http_ingest_makes() -> None:
    """Cookies of one header become several nodes, and nameless headers none: later ones move."""
    headers = [{"value": "nameless"}, {"name": "set-cookie", "value": "a=1\nb=2; Secure; HttpOnly; SameSite=Lax\nc=3"},
               {"name": "server", "value": "nginx/1.2"}]  # fmt: skip
    item = plain(url="https://x.test/", response={"status": 200, "headers": headers})
    found = findings(resolve(item))
    cookies = found["insecure-cookie"]["httpContext"]["cookies"]
    assert [(c["headerIndex"], c["cookieIndex"], c["headerIri"]) for c in cookies] == [
        (1, 0, "urn:req:r1:resh:0"), (1, 2, "urn:req:r1:resh:2")]  # fmt: skip
    [server] = found["server-fingerprint"]["httpContext"]["headers"]
    assert (server["index"], server["iri"]) == (2, "urn:req:r1:resh:3")

    ingested = process(HttpIngest(), {"payload": [item]})
    assert objects(ingested, "urn:req:r1:resh:2", "fieldValue") == {"c=3"}
    assert objects(ingested, "urn:req:r1:resh:3", "fieldValue") == {"nginx/1.2"}


def test_the_domain_of_a_cookie_is_stored() -> None:
    headers = [{"name": "set-cookie", "value": "a=1; Domain=.x.test"}, {"name": "set-cookie", "value": "b=2"}]
    processed = resolve(plain(url="https://x.test/", response={"headers": headers}))
    iri = "urn:finding:http%3Ainsecure-cookie%3Ar1"
    assert objects(processed, iri, "cookieDomain") == {".x.test"}
    assert objects(processed, iri, "cookieName") == {"a", "b"}


def test_a_method_that_is_an_empty_list_is_stored_as_the_empty_text_that_it_is() -> None:
    finding = "urn:finding:http%3Ainsecure-http%3Ar1"
    assert objects(resolve(plain(method=[])), finding, "httpMethod") == {""}
    assert objects(resolve(plain(method=None)), finding, "httpMethod") == set()


def test_parameters_and_paths_are_named_in_the_graph_of_the_findings() -> None:
    uri = {"full": "https://x.test/a/../b", "path": "/a/../b", "params": [{"name": "q", "value": "../x"}]}
    processed = resolve({"id": "r1", "method": "GET", "uri": uri})
    assert objects(processed, "urn:req:r1:param:0", "nameParameter") == {"q"}
    assert objects(processed, "urn:req:r1:uri", "path") == {"/a/../b"}
    iri = "urn:finding:http%3Apath-traversal%3Ar1"
    assert objects(processed, iri, "aboutVulnerabilityType") == {EX + "PathTraversal"}
    assert "urn:req:r1:param:0" in objects(processed, iri, "relatedToHTTP")


def test_an_xss_attempt_that_worked_says_so() -> None:
    uri = {"full": "https://x.test/", "params": [{"name": "q", "value": "<script>alert(1)</script>"}]}
    page = {"headers": [{"name": "content-type", "value": "text/html"}]}
    worked = page | {"bodyBase64": base64("<p>No results for <script>alert(1)</script>")}
    escaped = page | {"bodyBase64": base64("<p>No results for &lt;script>alert(1)&lt;/script>")}
    found = [findings(resolve(plain() | {"uri": uri, "response": response}))["xss-payload-detected"]
             for response in (worked, escaped)]  # fmt: skip
    assert [finding["evidence"].get("reflected") for finding in found] == [True, None]
    assert found[0]["description"].endswith("The page that came back holds it unescaped.")


def test_a_redirect_that_was_followed_says_so() -> None:
    uri = {"full": "https://x.test/go", "params": [{"name": "next", "value": "https://evil.example"}]}
    sent = {"status": 302, "headers": [{"name": "location", "value": "https://evil.example"}]}
    found = [findings(resolve(plain() | {"uri": uri, "response": response}))["open-redirect"]
             for response in (sent, {"status": 200})]  # fmt: skip
    assert [finding["evidence"].get("redirected") for finding in found] == [True, None]


def test_a_snippet_is_measured_in_the_code_units_of_javascript() -> None:
    text = "😀" * 60 + "xTraceback" + "😀" * 60
    response = {"status": 500, "bodyBase64": base64(text)}
    evidence = findings(resolve(plain(response=response)))["leak-stacktrace"]["evidence"]
    assert len(evidence["snippet"].encode("utf-16-le", "surrogatepass")) == 320
    assert evidence["snippet"].startswith("\ude00")
    assert json.loads(json.dumps(evidence)) == evidence


def test_a_body_beyond_the_limit_is_cut_and_said() -> None:
    response = {"status": 500, "bodyBase64": base64(b"x" * (LIMIT + 1) + b"Traceback (most recent call last)")}
    processed = resolve(plain(url="https://x.test/", response=response))
    assert findings(processed) == {}
    assert processed.report.lines[0] == "1 bodies are larger than 8 MiB: only the beginning of each was looked at"


@pytest.mark.parametrize(
    ("data", "codings", "text"),
    [
        pytest.param(base64(gzip.compress(b"hi")), "gzip", "hi", id="gzip"),
        pytest.param(base64(gzip.compress(b"hi")), "", "hi", id="gzip-unsaid"),
        pytest.param(base64("hi"), "gzip", "hi", id="said-but-plain"),
        pytest.param(base64(gzip.compress(b"hi")[:-9]), "gzip", "hi", id="torn"),
        pytest.param("a-_ \n/=ignored", "", "k\ufffd\ufffd", id="url-safe-and-loose"),
        pytest.param("aGk", "", "hi", id="no-padding"),
        pytest.param("=", "", "", id="nothing"),
    ],
)
def test_bodies_are_decoded_as_the_original_does_and_uncompressed(data: str, codings: str, text: str) -> None:
    assert body_of(data, codings).text == text


def test_a_bomb_is_inflated_to_the_limit_only() -> None:
    bomb = body_of(base64(gzip.compress(b"\0" * (LIMIT * 4))), "gzip")
    assert (len(bomb.text), bomb.cut) == (LIMIT, True)


def test_the_settings_name_the_graphs() -> None:
    processed = resolve(plain(), findingsNameGraph="http://g/f", httpRequestsNameGraph="http://g/h", ontEx="http://e/o")
    assert {q.graph_name.value for q in processed.quads} == {"http://g/f"}  # type: ignore[union-attr]
    assert findings(processed)["insecure-http"]["graph"] == "http://g/h"


def test_bullpen_process_runs_it() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bullpen_cli", "process", "http-resolver"],
        input=json.dumps({"list": [plain()]}), capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    printed = json.loads(done.stdout)
    assert printed["value"]["result"]["totalFindings"] == 1
    assert printed["value"]["insertStatus"] == 204
    assert len(printed["nquads"]) == 18
    assert printed["error"] is None
