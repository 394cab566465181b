"""Values are followed through whatever JavaScript does with them, and no further than that."""

from __future__ import annotations

import time
from typing import Any

import pytest

from bullpen_processors.sast.analyzer import SastAnalyze
from fakes.processing import process


def findings(*scripts: str | dict[str, Any], html: str = "") -> list[dict[str, Any]]:
    given = [script if isinstance(script, dict) else {"code": script} for script in scripts]
    payload = {"url": "https://shop.example/p", "html": html, "scripts": given}
    return list(process(SastAnalyze(), payload).value()["result"]["findings"])


def flows(*scripts: str | dict[str, Any], html: str = "") -> list[tuple[str, str, str]]:
    """Return where flows end: file, kind and confidence."""
    found = [finding for finding in findings(*scripts, html=html) if finding["ruleId"] == "taint-flow"]
    return [(finding["file"], finding["kind"], finding["confidence"]) for finding in found]


ONE = [("inline-script[#0]", "dom-xss", "high")]


@pytest.mark.parametrize(
    "code",
    [
        "var x = location.hash; e.innerHTML = x",
        "const {hash: h} = location; e.innerHTML = h",
        "const [a] = [location.hash]; e.innerHTML = a",
        "e.innerHTML = `<b>${location.hash}</b>`",
        "let o = {a: {b: location.hash}}; e.innerHTML = o.a.b",
        "function f(a, b) { return b } e.innerHTML = f(1, location.hash)",
        "const f = (...r) => r[1]; e.innerHTML = f(1, location.hash)",
        "function f(x) { e.innerHTML = x } f.call(null, location.hash)",
        "class A { constructor(x) { this.x = x } show() { e.innerHTML = this.x } } new A(location.hash)",
        "let x; function g() { x = location.hash } function h() { e.innerHTML = x }",
        "[location.hash].forEach(x => { e.innerHTML = x })",
        "e.innerHTML = [1, 2].map(() => location.hash).join('')",
        "var a = []; a.push(location.hash); e.innerHTML = a.join('')",
        "Promise.resolve(location.hash).then(x => e.innerHTML = x)",
        "async function f() { return location.hash } async function g() { e.innerHTML = await f() }",
        "let s = ''; s += location.hash; e.innerHTML = s",
        "e['innerHTML'] = location?.hash",
        "e.innerHTML = c ? 'a' : location.hash",
        "e.innerHTML = decodeURIComponent(location.search).split('=')[1]",
        "d3.select('#a').html(d => location.hash)",
        "const p = trustedTypes.createPolicy('x', {createHTML: x => x}); p.createHTML(location.hash)",
        "class A extends C { constructor(p) { this.x = p.y } f() { e.innerHTML = this.x } } b = <A y={location.hash}/>",
        "let o = {a: [{b: {c: location.hash}}]}; e.innerHTML = JSON.stringify(o)",
        "app.get('/', (req, res) => { e.innerHTML = req.query.x })",
        "/* \0 */ e.innerHTML = location.hash",
    ],
)
def test_a_value_is_followed(code: str) -> None:
    assert flows(code) == ONE


def test_severity_says_who_writes_the_value() -> None:
    found = findings("e.innerHTML = location.hash; e.innerHTML = localStorage.getItem('a'); e.innerHTML = who")
    assert [(one["ruleId"], one["severity"]) for one in found if one["col"] != 0] == [
        ("taint-flow", "high"), ("taint-flow", "medium"), ("no-innerhtml", "low"), ("no-innerhtml", "low"),
        ("no-innerhtml", "low"),
    ]  # fmt: skip


def test_a_function_of_no_script_may_give_back_what_it_was_given() -> None:
    assert flows("async function f() { e.innerHTML = await get(location.hash) }") == [
        ("inline-script[#0]", "dom-xss", "low")
    ]
    assert flows("e.innerHTML = escapeAll(location.hash)") == []


def test_markup_that_was_delivered_as_a_script_is_read_for_its_scripts() -> None:
    code = "var p = window.name;\n<html>\n<script>eval(p.replace(/</g, '&lt;'));</script></html>"
    [found] = [one for one in findings(code) if one["ruleId"] == "taint-flow"]
    assert (found["file"], found["line"], found["col"]) == ("inline-script[#0]", 3, 13)
    assert flows("var t = '<script>eval(name)</script>'; x = (") == []


def test_the_address_stays_the_address_whatever_it_is_set_to() -> None:
    assert flows("location = 1; location.assign(name)") == [("inline-script[#0]", "open-redirect", "high")]


def test_an_address_behind_its_hash_that_becomes_an_attribute_is_a_weak_sign() -> None:
    assert flows("a.setAttribute('href', location.hash)") == [("inline-script[#0]", "resource-url", "low")]


@pytest.mark.parametrize(
    "code",
    [
        "e.innerHTML = 'fixed'",
        "let x = location.hash; x = 'fixed'; e.innerHTML = x",
        "function f() { let a = location.hash } function g(a) { e.innerHTML = a } g('x')",
        "let o = {a: location.hash, b: 1}; e.innerHTML = o.b",
        "e.innerHTML = DOMPurify.sanitize(location.hash)",
        "e.innerHTML = location.hash.length",
        "e.innerHTML = location.hash === '#a'",
        "e.innerHTML = parseInt(location.hash)",
        "e.textContent = location.hash",
        "var a; e.innerHTML = a; a = location.hash",
        "// e.innerHTML = location.hash",
        "setTimeout(() => location.hash, 1)",
        "let x = <script type='application/ld+json'>{location.hash}</script>",
        "location.href = '/p?' + location.hash.slice(1)",
        "const x = location.hash.slice(1); if (list.includes(x)) e.innerHTML = x",
        "onmessage = e => { if (e.origin !== 'https://a.example') return; d.innerHTML = e.data }",
    ],
)
def test_a_value_that_does_not_arrive_or_does_no_harm_is_no_flow(code: str) -> None:
    assert flows(code) == []


def test_a_check_that_may_not_be_enough_lowers_confidence() -> None:
    assert flows("let x = location.hash; if (/^#\\w/.test(x)) e.innerHTML = x") == [
        ("inline-script[#0]", "dom-xss", "low")
    ]


def test_scripts_of_a_page_are_one_program() -> None:
    assert flows("var shared = location.hash", "e.innerHTML = shared") == [("inline-script[#1]", "dom-xss", "high")]
    source = {"src": "lib/source.js", "type": "module", "code": "export function q() { return location.hash }"}
    sink = {"src": "sink.js", "type": "module", "code": "import {q} from './source.js'; e.innerHTML = q()"}
    assert flows(source, sink) == [("sink.js", "dom-xss", "high")]
    assert flows(sink, source) == [("sink.js", "dom-xss", "high")]


def test_names_of_one_module_are_not_those_of_another() -> None:
    module = {"type": "module", "src": "a.js", "code": "export var own = location.hash"}
    assert flows(module, "e.innerHTML = own") == []


def test_handlers_addresses_and_frames_of_the_markup_are_part_of_the_program() -> None:
    html = "<a href='javascript:eval(location.hash)'>x</a><details ontoggle=eval(name)></details>"
    html += '<iframe srcdoc="&lt;script&gt;eval(location.hash)&lt;/script&gt;"></iframe>'
    kinds = [(file.partition("[")[0], kind) for file, kind, _ in flows(html=html)]
    assert sorted(kinds) == [
        ("html-address", "code-injection"),
        ("html-handler", "code-injection"),
        ("html-script", "code-injection"),
    ]


def test_a_finding_tells_source_sink_and_the_way_between() -> None:
    [found] = [
        f for f in findings("var x = location.hash;\nvar y = x;\ne.innerHTML = y") if f["ruleId"] == "taint-flow"
    ]
    assert (found["line"], found["col"], found["cwe"], found["severity"]) == (3, 14, "CWE-79", "high")
    assert found["source"]["name"] == "location.hash"
    assert found["source"]["line"] == 1
    assert found["sinkName"] == "e.innerHTML"
    assert [step["line"] for step in found["path"]] == [1, 2, 3]


def test_code_that_does_not_parse_is_reported_and_hides_nothing() -> None:
    found = findings("e.innerHTML = location.hash; }}}} var = ;", "eval(name)")
    rules = [(finding["ruleId"], finding["file"]) for finding in found]
    assert ("parse-error", "inline-script[#0]") in rules
    assert ("taint-flow", "inline-script[#0]") in rules
    assert ("taint-flow", "inline-script[#1]") in rules


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("x = " + "a + " * 60_000 + "1;", id="plus"),
        pytest.param("(" * 50_000 + "1" + ")" * 50_000, id="parentheses"),
        pytest.param("[" * 50_000 + "]" * 50_000, id="arrays"),
        pytest.param("a" + ".b" * 60_000, id="chain"),
        pytest.param("f(" * 20_000 + ")" * 20_000, id="calls"),
        pytest.param("{" * 30_000 + "}" * 30_000, id="blocks"),
        pytest.param("x = [" + "1," * 500_000 + "]", id="literals"),
        pytest.param("if (a) {} else " * 8_000 + "{}", id="else-if"),
        pytest.param("'use strict' \\ \x00 }{)(" * 8_000, id="garbage"),
    ],
)
def test_hostile_code_takes_linear_time_and_hides_nothing_around_it(code: str) -> None:
    before = time.process_time()
    assert flows(code, "e.innerHTML = location.hash") == [("inline-script[#1]", "dom-xss", "high")]
    assert time.process_time() - before < 10


def test_a_script_below_a_thousand_elements_is_read() -> None:
    assert flows(html="<div>" * 1000 + "<script>e.innerHTML = location.hash</script>") == [
        ("html-script[#0]", "dom-xss", "high")
    ]


@pytest.mark.parametrize(
    "html",
    ["<form " * 90_000, "<div>" * 60_000, "<a " + "b=c " * 60_000 + ">", "<!--" * 60_000, "<a onclick='" * 30_000,
     "<script>" * 60_000, "<svg>" + "<script/>" * 40_000],
)  # fmt: skip
def test_hostile_markup_takes_linear_time(html: str) -> None:
    before = time.process_time()
    found = findings(html="<form method='get'></form>" + html)
    assert found[0]["ruleId"] == "form-method-get"
    assert time.process_time() - before < 10
