"""What clients of the original read: ids, JSON and triples."""

from __future__ import annotations

from typing import Any

import pytest

from bullpen_processors.sast.analyzer import SastAnalyze
from fakes.processing import Processed, process

URL = "https://ex.com/p"


def analyse(**payload: Any) -> Processed:
    return process(SastAnalyze(), {"url": URL, "html": "", "scripts": [], **payload})


def ids(**payload: Any) -> list[str]:
    return [finding["findingId"] for finding in analyse(**payload).value()["result"]["findings"]]


def test_ids_count_utf16_units_and_the_scripts_that_parse() -> None:
    html = '<a onclick="😀x()" title="😀" onload="f()">'
    assert ids(html=html, scripts=[{"code": "/*😀*/eval(1)"}], url="u") == [
        "html-inline-event:HTML Document:off-3-10@u",
        "html-inline-event:HTML Document:off-30-36@u",
        "no-eval:inline-script[#1]:l1c6-l1c13@u",
    ]


@pytest.mark.parametrize(
    "code",
    [
        "with (o) x()", "x = 010", "x = '\\07'", "delete x", "let = 1", "var static", "return", "if (x) { return }",
        "<!-- x", "let a; let a", "var a; let a", "function f() {} function f() {}", "function f() { await g() }",
        "class A { #p = await a }", "x = <b/>", "@d class A {}", "let x: string", "enum = 1", "x = (",
    ],
)  # fmt: skip
def test_a_script_that_the_originals_parser_refuses_does_not_count(code: str) -> None:
    found = ids(scripts=[{"code": code}, {"code": "eval(x)"}])
    assert f"no-eval:inline-script[#0]:l1c0-l1c7@{URL}" in found


@pytest.mark.parametrize(
    "code",
    [
        "with_(o)", "x = 0.10", "x = 0", "x = '\\0'", "delete x.y", "x.let = 1", "function f() { return }",
        "let a; { let a }", "var a; var a", "function f(a, a) {}", "async () => await g()", "await g()",
        "for await (const x of y) z()", "class A { static { x() } }", "x < y > z", "a = {static: 1, await: 2}",
        "`</b>@x`", "export const a = 1; export function b() {}", "x = /[@a<b>]/",
    ],
)  # fmt: skip
def test_a_script_that_the_originals_parser_takes_counts(code: str) -> None:
    found = ids(scripts=[{"code": code}, {"code": "eval(x)"}])
    assert f"no-eval:inline-script[#1]:l1c0-l1c7@{URL}" in found


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("var key = 'AKIAIOSFODNN7EXAMPLE'", ["hardcoded-secret"]),
        ("var key = `-----BEGIN RSA PRIVATE KEY-----\n`", ["hardcoded-secret"]),
        ("// AKIAIOSFODNN7EXAMPLE", []),
        ("var key = 'AKIA'", []),
        ("f(/^(a+)+$/.test(x))", ["redos"]),
        ("f(/^(?:[a-z]*)*$/.test(x))", ["redos"]),
        ("f(/^(a+b)+$/.test(x))", []),
        ("f('(a+)+')", []),
    ],
)
def test_literals_that_no_page_should_hold_are_reported(code: str, found: list[str]) -> None:
    assert [one.partition(":")[0] for one in ids(scripts=[{"code": code}])] == found


def test_a_script_is_named_by_its_place_in_the_payload_whatever_its_id_counts() -> None:
    found = analyse(html='<a onclick="f()">', scripts=[{"code": "eval(x)"}]).value()["result"]["findings"]
    [script] = [finding for finding in found if finding["ruleId"] == "no-eval"]
    assert script["file"] == "inline-script[#0]"
    assert script["findingId"] == f"no-eval:inline-script[#1]:l1c0-l1c7@{URL}"
    assert script["contextVector"]["index"] == 0


def test_the_value_is_the_one_that_clients_read() -> None:
    html = '<form method="get" action="/x"></form>'
    forms = [{"action": "/x", "method": "get", "inputs": [{"name": "q", "type": "text"}, "raw"]}]
    value = analyse(html=html, forms=forms, includeSnippets=True).value()
    [found] = value["result"].pop("findings")
    assert value == {
        "result": {
            "ok": True, "pageUrl": URL, "totalFindings": 1, "stats": {"high": 0, "medium": 1, "low": 0},
            "summary": {"scripts": 0, "forms": 1, "iframes": 0, "html": 0},
        },
        "insertStatus": 204,
    }  # fmt: skip
    assert found["findingId"] == f"form-method-get:HTML Document:off-0-31@{URL}"
    assert found["location"] == {"start": 0, "end": 31}
    assert found["snippet"] == html
    assert found["contextVector"] == {
        "type": "form", "index": 0, "origin": "markup", "src": None, "title": None, "action": "/x", "method": "get",
        "inputs": ["q", "raw"],
    }  # fmt: skip
    assert [field["attributes"] for field in found["htmlRef"]["fields"]] == [
        [{"name": "name", "value": "q"}, {"name": "type", "value": "text"}],
        [{"name": "raw", "value": "raw"}],
    ]


def test_triples_are_those_of_the_api() -> None:
    processed = analyse(html='<form method="get" action="/x">', forms=[{"action": "/x", "method": "get", "inputs": []}])
    finding = "urn:finding:form-method-get%3AHTML%20Document%3Aoff-0-31%40https%3A%2F%2Fex.com%2Fp"
    tag = "urn:html:tag:https%3A%2F%2Fex.com%2Fp%23form%230%23form"
    lines = "\n".join(processed.stored())
    ex = "http://localhost/onto/ontowebpt#"
    for predicate, value in (
        ("mainDomain", f'"{URL}"'), ("contextType", '"form"'), ("contextOrigin", '"markup"'),
        ("contextSrc", f'"{URL}"'),
        ("formAction", '"/x"'), ("formMethod", '"get"'), ("severity", '"MEDIUM"'), ("relatedToHTML", f"<{tag}>"),
        ("detectedByResolver", f"<{ex}AnalyzerResolverInstance>"),
    ):  # fmt: skip
        assert f"<{finding}> <{ex}{predicate}> {value}" in lines
    assert f'<{finding}> <{ex}contextIndex> "0"^^<http://www.w3.org/2001/XMLSchema#int>' in lines
    assert f'<{tag}> <{ex}sourceLocation> "<form action=\\"/x\\" method=\\"get\\">"' in lines


def test_looser_payloads_are_pages_with_nothing_in_them() -> None:
    loose: Any
    for loose in (
        {},
        {"html": None, "scripts": None, "forms": None},
        {"scripts": [None, 1, {"code": None}], "html": 5},
        [],
        None,
        5,
    ):
        assert process(SastAnalyze(), loose).value() == {
            "result": {
                "ok": True, "pageUrl": "", "totalFindings": 0, "stats": {"high": 0, "medium": 0, "low": 0},
                "summary": {"scripts": 0, "forms": 0, "iframes": 0, "html": 0}, "findings": [],
            },
            "insertStatus": None,
        }  # fmt: skip


def test_explaining_says_what_was_seen_and_why_it_is_none() -> None:
    payload = {
        "url": URL,
        "html": '<!-- <a onclick="f()"> --><form action="https://ex.com/x"></form>',
        "scripts": [
            {"code": "e.innerHTML = 'a'; d.appendChild(document.createTextNode(x)); f('http://www.w3.org/2000/svg')"}
        ],
    }
    result = process(SastAnalyze(), payload, {"explain": True}).value()["result"]
    assert result["findings"] == []
    assert {(seen["ruleId"], seen["reason"]) for seen in result["explained"]} == {
        ("html-inline-event", "comment or dead text"),
        ("form-external-action", "same site"),
        ("no-innerhtml", "constant argument"),
        ("no-appendchild", "harmless value"),
        ("no-insecure-http", "harmless value"),
        ("taint-flow", "no flow"),
    }


def test_a_rule_that_finds_too_much_is_cut_and_starves_no_other() -> None:
    html = "<a onclick='f()'>" * 600
    result = analyse(html=html, scripts=[{"code": "eval(location.hash)"}]).value()["result"]
    rules = [finding["ruleId"] for finding in result["findings"]]
    assert rules.count("html-inline-event") == 500
    assert {"taint-flow", "no-eval"} <= set(rules)
    assert result["cut"] == {"html-inline-event": 100}


def test_snippets_of_a_bundle_in_one_line_are_short() -> None:
    code = "var a=1;" * 50_000 + "eval(location.hash);" + "var b=1;" * 50_000
    found = analyse(scripts=[{"code": code}], includeSnippets=True).value()["result"]["findings"]
    [flow] = [finding for finding in found if finding["ruleId"] == "taint-flow"]
    assert len(flow["snippet"]) == 1000
    assert "eval(location.hash)" in flow["snippet"]


def test_progress_is_told_by_stage() -> None:
    assert analyse(scripts=[{"code": "1"}]).report.values == [30, 60, 85, 100]


@pytest.mark.parametrize(
    ("code", "severity", "confidence"),
    [
        pytest.param("e.innerHTML = location.hash", "high", "high", id="anybody-to-html"),
        pytest.param("eval(name)", "high", "high", id="anybody-to-code"),
        pytest.param("location.href = name", "medium", "high", id="anybody-to-an-address"),
        pytest.param("e.innerHTML = localStorage.a", "medium", "medium", id="storage-to-html"),
        pytest.param("var n = name; if (/^[a-z]+/.test(n)) e.innerHTML = n", "medium", "low", id="behind-a-check"),
        pytest.param("e.innerHTML = unknown(location.hash)", "medium", "low", id="through-a-function-not-known"),
    ],
)
def test_how_grave_and_how_sure_a_flow_is_follows_from_its_source_its_sink_and_its_way(
    code: str, severity: str, confidence: str
) -> None:
    found = analyse(scripts=[{"code": code}]).value()["result"]["findings"]
    flows = [finding for finding in found if finding["ruleId"] == "taint-flow"]
    assert [(flow["severity"], flow["confidence"]) for flow in flows] == [(severity, confidence)]


def test_a_place_in_a_script_is_a_low_confidence_and_markup_a_high_one() -> None:
    result = analyse(html="<a onclick='f()'>", scripts=[{"code": "e.innerHTML = f(x); y = ("}]).value()["result"]
    sure = {finding["ruleId"]: finding["confidence"] for finding in result["findings"]}
    assert sure == {"html-inline-event": "high", "no-innerhtml": "low", "parse-error": "high"}
