"""What each processor writes has the shape that its readers rely on, and a graph that has not is refused."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any, Final

import pytest
from rdflib import SH, Graph

from bullpen_processors.http.ingest import HttpIngest
from bullpen_processors.http.resolver import HttpResolver
from bullpen_processors.http.rules import RULES
from bullpen_processors.sast.analyzer import SastAnalyze
from bullpen_processors.sast.models import built_in
from fakes.processing import process
from support import ROOT

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pyshacl

EX: Final = "http://localhost/onto/ontowebpt#"
TRAFFIC: Final = json.loads((ROOT / "examples/traffic/vulpy.json").read_text())["payload"]["items"]
FINDING: Final = "urn:finding:http%3Ainsecure-http%3Aexample"


def examples() -> list[Any]:
    """Return every example of every rule as items of one job, each with an id of its own."""
    items = [item for rule in RULES for item in (*rule.bad, *rule.good)]
    return [{**item, "id": f"example-{index}"} for index, item in enumerate(items)]


def page() -> Any:
    """Return a page with every example of every rule of sast-analyze, and each kind of markup."""
    rules = [rule for family in built_in() for rule in family["rules"]]
    return {
        "url": "https://shop.example/p?a=b#c",
        "html": '<form method="get" action="http://x.test/"><iframe srcdoc="x"></iframe><a onclick="eval(x)">',
        "scripts": [{"src": f"{rule['id']}.js", "code": rule["bad"]} for rule in rules] + [{"code": "eval(1); }"}],
        "forms": [{"action": "http://x.test/", "method": "get", "inputs": ["a", {"name": "b", "value": 1}]}],
        "iframes": [{"src": "/f", "title": "t"}],
        "includeSnippets": True,
    }


def written(processor: Any, payload: Any) -> str:
    """Return what is stored, as N-Triples."""
    lines = process(processor, payload).stored()
    return "\n".join(line.rpartition(" <")[0] + " ." for line in lines)


def violations(shapes: str, triples: str) -> int:
    data = Graph().parse(data=triples, format="nt")
    shape = Graph().parse(ROOT / "tests" / "shapes" / shapes, format="turtle")
    conforms, report, _ = pyshacl.validate(data, shacl_graph=shape)
    assert isinstance(report, Graph)
    found = len(list(report.subjects(SH.resultSeverity)))
    assert conforms == (found == 0)
    return found


@pytest.mark.parametrize("items", [pytest.param(examples(), id="examples"), pytest.param(TRAFFIC, id="traffic")])
def test_exchanges_have_their_shape(items: list[Any]) -> None:
    assert violations("exchange.ttl", written(HttpIngest(), {"payload": items})) == 0


@pytest.mark.parametrize("items", [pytest.param(examples(), id="examples"), pytest.param(TRAFFIC, id="traffic")])
def test_findings_have_their_shape(items: list[Any]) -> None:
    triples = written(HttpResolver(), {"list": [*items, {"uri": {"full": "http://no.id/"}}]})
    assert violations("http-finding.ttl", triples) == 0
    assert triples.count(f"{EX}findingRuleId") >= 30


def broken_findings() -> Iterator[Any]:
    yield pytest.param(f'<{FINDING}> <{EX}severity> "LOW" .', "", id="two-severities")
    yield pytest.param("", f"<{EX}severity>", id="no-severity")
    yield pytest.param("", f"<{EX}HttpFinding>", id="no-class")
    yield pytest.param("", f"<{EX}detectedByResolver>", id="no-resolver")
    yield pytest.param("", f"<{EX}Vulnerabilities>", id="an-unknown-type-that-is-nothing")
    yield pytest.param("", f"<{EX}hasHttpFinding>", id="the-request-does-not-know")
    yield pytest.param(f'<{FINDING}> <{EX}responseStatus> "200" .', "", id="a-status-that-is-text")
    yield pytest.param(f"<{FINDING}> <{EX}relatedToHTTP> <undefined:> .", "", id="a-node-that-is-none")


@pytest.mark.parametrize(("more", "less"), [*broken_findings()])
def test_a_broken_finding_is_refused(more: str, less: str) -> None:
    triples = written(HttpResolver(), {"list": [{"id": "example", "method": "GET", "uri": {"full": "http://x.test/"}}]})
    kept = [line for line in triples.split("\n") if not less or less not in line]
    assert violations("http-finding.ttl", triples) == 0
    assert violations("http-finding.ttl", "\n".join([*kept, more])) > 0


@pytest.mark.parametrize(
    ("more", "less"),
    [
        pytest.param("<urn:req:r> <" + EX + 'id> "other" .', "", id="two-ids"),
        pytest.param("", f"<{EX}mthd>", id="no-method"),
        pytest.param("", f"<{EX}URI>", id="a-uri-that-is-none"),
        pytest.param("", f"<{EX}fieldName>", id="a-header-without-name"),
        pytest.param("", f"<{EX}statusCodeNumber>", id="a-status-without-number-or-reason"),
    ],
)
def test_a_broken_exchange_is_refused(more: str, less: str) -> None:
    response = {"status": 200, "headers": [{"name": "server", "value": "x"}]}
    item = {"id": "r", "method": "GET", "uri": {"full": "http://x.test/"}, "response": response}
    triples = written(HttpIngest(), {"payload": [item]})
    kept = [line for line in triples.split("\n") if not less or less not in line]
    assert violations("exchange.ttl", triples) == 0
    assert violations("exchange.ttl", "\n".join([*kept, more])) > 0


def test_findings_of_pages_have_their_shape() -> None:
    triples = written(SastAnalyze(), page())
    assert violations("analyzer-finding.ttl", triples) == 0
    assert triples.count(f"{EX}findingRuleId") >= 60


@pytest.mark.parametrize("name", ["severity", "contextType", "mainDomain", "codeSnippet"])
def test_a_finding_of_a_page_with_two_values_of_one_kind_is_refused(name: str) -> None:
    finding = "urn:finding:no-eval%3Aa.js%3Al1c0-l1c7%40https%3A%2F%2Fx.test%2F"
    payload = {"url": "https://x.test/", "scripts": [{"src": "a.js", "code": "eval(1)"}], "includeSnippets": True}
    triples = written(SastAnalyze(), payload)
    assert violations("analyzer-finding.ttl", triples) == 0
    assert violations("analyzer-finding.ttl", f'{triples}\n<{finding}> <{EX}{name}> "other" .') >= 1
