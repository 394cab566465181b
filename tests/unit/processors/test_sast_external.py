"""Scripts that a page only names: fetched where the job type allows it, and said where they were not."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import pytest

from bullpen_processors.api import SettingsError, StoreAnswer, WebAnswer
from bullpen_processors.sast.analyzer import SastAnalyze
from bullpen_processors.sast.external import OFF, FetchLimits, decoded
from bullpen_processors.sast.settings import SastSettings
from fakes.outside import NOWHERE, Outside, outside

URL = "https://shop.example/a/p"
FLOW = b"e.innerHTML = location.hash"


def script(body: bytes = FLOW, content_type: str = "text/javascript", status: int = 200) -> WebAnswer:
    return WebAnswer(status, body, content_type=content_type)


class Run:
    """One page, analysed with what a web holds."""

    def __init__(
        self, pages: Mapping[str, WebAnswer], fetch: Any = True, *, html: str = "", **script_fields: Any
    ) -> None:
        self.outside: Outside = outside(NOWHERE, **{} if fetch is None else {"sast.fetch": fetch})
        self.outside.web.pages = pages
        given = script_fields.get("scripts", [script_fields])
        payload = {"url": URL, "html": html, "scripts": given}
        result = SastAnalyze().process(payload, self.outside.context)
        value = result.finish(StoreAnswer(204)) if result.finish else result.value
        self.result = value["result"]
        self.fetched = self.outside.web.fetched

    @property
    def flows(self) -> list[str]:
        return [finding["file"] for finding in self.result["findings"] if finding["ruleId"] == "taint-flow"]

    @property
    def reasons(self) -> list[str]:
        return [missing["reason"] for missing in self.result.get("notFetched", [])]


@pytest.mark.parametrize(
    ("src", "html", "address"),
    [
        ("https://cdn.test/a.js", "", "https://cdn.test/a.js"),
        ("//cdn.test/a.js", "", "https://cdn.test/a.js"),
        ("a.js", "", "https://shop.example/a/a.js"),
        (" ../a.js?v=1 ", "", "https://shop.example/a.js?v=1"),
        ("/js/a.js", "", "https://shop.example/js/a.js"),
        ("a.js", "<base target=x><base href='/s/'><base href='/t/'>", "https://shop.example/s/a.js"),
        ("a.js", "<base href='//cdn.test/s/'>", "https://cdn.test/s/a.js"),
        ("//b.test/a.js", "<base href='http://cdn.test/s/'>", "http://b.test/a.js"),
    ],
)
def test_an_address_is_resolved_against_the_page_and_its_base(src: str, html: str, address: str) -> None:
    run = Run({address: script()}, src=src, html=html)
    assert (run.fetched, run.flows, run.reasons) == ([address], [src], [])


def test_nothing_is_fetched_unless_the_job_type_says_so() -> None:
    for fetch in (None, False):
        run = Run({"https://cdn.test/a.js": script()}, fetch, src="https://cdn.test/a.js")
        assert (run.fetched, run.flows) == ([], [])
        assert run.result["notFetched"] == [{"index": 0, "src": "https://cdn.test/a.js", "reason": OFF}]
        assert f"1 external scripts are not analysed: {OFF}" in run.outside.report.lines


def test_a_script_without_code_is_one_whose_code_is_empty_too() -> None:
    pages = {"https://shop.example/a.js": script()}
    assert Run(pages, src="/a.js", code="").flows == ["/a.js"]
    assert Run(pages, src="/a.js", code=None).flows == ["/a.js"]
    run = Run(pages, src="/a.js", code="1")
    assert (run.flows, run.fetched, run.reasons) == ([], [], [])


def test_what_no_browser_would_load_is_not_asked_for() -> None:
    run = Run(
        {}, scripts=[{"src": "/a.json", "type": "application/json"}, {"src": ""}, {"src": 5}, None, {"code": "1"}]
    )
    assert (run.fetched, run.reasons) == ([], [])


def test_one_address_is_fetched_once() -> None:
    run = Run({"https://shop.example/a.js": script()}, scripts=[{"src": "/a.js"}, {"src": "//shop.example/a.js"}])
    assert (run.fetched, run.flows) == (["https://shop.example/a.js"], ["/a.js", "//shop.example/a.js"])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (script(status=404), "the server answered 404"),
        (script(status=204, body=b""), "the server answered 204"),
        (script(b"<html>", "text/html; charset=utf-8"), "the server answered with text/html"),
        (script(b"\x89PNG", "image/png"), "the server answered with image/png"),
        (script(b"a,b", " text/csv"), "the server answered with text/csv"),
    ],
)
def test_what_is_no_script_disturbs_nothing_and_is_said(answer: WebAnswer, reason: str) -> None:
    pages = {"https://shop.example/a.js": answer}
    run = Run(pages, scripts=[{"src": "/a.js"}, {"src": "/b.js"}, {"code": FLOW.decode()}])
    assert run.reasons == [reason, "no answer over https/http within 4000000 bytes"]
    assert run.flows == ["inline-script[#2]"]


@pytest.mark.parametrize(
    "content_type", ["", "application/json", "text/plain", "application/octet-stream", "text/htmlx"]
)
def test_whatever_browsers_run_as_a_script_is_one(content_type: str) -> None:
    assert Run({"https://shop.example/a.js": script(content_type=content_type)}, src="/a.js").flows == ["/a.js"]


def test_a_page_has_so_many_bytes_and_no_more() -> None:
    pages = {f"https://shop.example/{name}": script(FLOW + b";" * 73) for name in "abc"}
    run = Run(pages, {"totalBytes": 150, "maxBytes": 120}, scripts=[{"src": f"/{name}"} for name in "abc"])
    assert (run.flows, run.reasons) == (["/a"], ["no answer over https/http within 50 bytes"] * 2)
    run = Run(pages, {"totalBytes": 200}, scripts=[{"src": f"/{name}"} for name in "abc"])
    assert (run.flows, run.reasons) == (["/a", "/b"], ["the page's 200 bytes of scripts were spent"])


def test_a_page_makes_so_many_requests_and_no_more() -> None:
    run = Run({}, {"maxScripts": 2}, scripts=[{"src": f"/{name}"} for name in "abcd"])
    assert run.fetched == ["https://shop.example/a", "https://shop.example/b"]
    assert run.reasons[2:] == ["the page's 2 requests for scripts were made"] * 2
    assert len(Run({}, scripts=[{"src": f"/{number}"} for number in range(120)]).fetched) == 100


def test_a_page_has_so_much_time_and_no_more() -> None:
    class Slow(dict[str, WebAnswer]):
        def get(self, key: Any, default: Any = None) -> Any:
            run.commons.clock[0] += 4.0
            return super().get(key, default)

    settings: Any = {"sast.fetch": {"totalSeconds": 7}}
    run = outside(NOWHERE, **settings)
    run.web.pages = Slow({f"https://shop.example/{name}": script() for name in "abc"})
    SastAnalyze().process({"url": URL, "scripts": [{"src": f"/{name}"} for name in "abc"]}, run.context)
    assert run.web.fetched == ["https://shop.example/a", "https://shop.example/b"]
    assert "1 external scripts are not analysed: the page's 7 s for scripts were over" in run.report.lines


def test_an_address_that_holds_its_code_needs_no_network() -> None:
    plain, encoded = "data:text/javascript,e.innerHTML%20=%20location.hash", b64encode(FLOW).decode()
    run = Run(
        {},
        None,
        scripts=[{"src": plain}, {"src": f"DATA:text/javascript;base64,{encoded}"}, {"src": "data:;base64,a"}],
    )
    assert (len(run.flows), run.fetched, len(run.reasons)) == (2, [], 1)


def test_addresses_that_are_long_or_many_are_cut() -> None:
    run = Run({}, None, scripts=[{"src": f"/{index}/{'x' * 1000}"} for index in range(120)])
    assert len(run.result["notFetched"]) == 100
    assert {len(missing["src"]) for missing in run.result["notFetched"]} == {500}
    assert f"120 external scripts are not analysed: {OFF}" in run.outside.report.lines


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("é".encode(), "", "é"),
        (b"\xef\xbb\xbfa", "text/javascript; charset=iso-8859-1", "a"),
        ("é".encode("utf-16"), "", "é"),
        (b"\xe9", 'text/javascript;charset="ISO-8859-1"', "é"),
        (b"\xe9", "text/javascript; charset=idna", "\ufffd"),
        (b"a", "text/javascript; charset=hex", "a"),
        (b"a", "text/javascript; charset=iso-8859-12", "a"),
    ],
)
def test_a_script_is_decoded_as_browsers_do(body: bytes, content_type: str, text: str) -> None:
    assert decoded(body, content_type) == text


def test_the_setting_says_what_may_be_fetched() -> None:
    def read(value: Any) -> FetchLimits | None:
        return SastSettings.from_settings({"sast.fetch": value}).fetch

    assert read(True) == FetchLimits()
    policy = {"schemes": ["https"], "hosts": ["*.shop.example"], "networks": ["10.1.0.0/16", "fd00::/8"]}
    caps = {"redirects": 0, "timeoutSeconds": 0.5, "totalSeconds": 9, "maxBytes": 1, "totalBytes": 2, "maxScripts": 3}
    limits = read({**policy, **caps})
    assert limits is not None
    assert (limits.policy.schemes, limits.policy.hosts) == (("https",), ("*.shop.example",))
    assert (limits.policy.networks, limits.policy.redirects) == (("10.1.0.0/16", "fd00::/8"), 0)
    assert (limits.timeout_s, limits.total_s, limits.limit_bytes, limits.total_bytes) == (0.5, 9, 1, 2)
    assert limits.count == 3


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("yes", "expected true, false or an object of schemes, hosts, "),
        ({"host": []}, "expected true, false or an object of schemes, hosts, "),
        ({"schemes": ["ftp"]}, "schemes: expected a list of http and https"),
        ({"schemes": "https"}, "schemes: expected a list of http and https"),
        ({"hosts": ["https://a"]}, "hosts: expected a list of host names"),
        ({"networks": ["10.1.2.3/8"]}, "networks: expected a list of networks such as 10.1.0.0/16"),
        ({"networks": [5]}, "networks: expected a list of networks such as 10.1.0.0/16"),
        ({"redirects": 21}, "redirects: expected a whole number from 0 to 20"),
        ({"timeoutSeconds": 0}, "timeoutSeconds: expected a number above 0"),
        ({"totalSeconds": True}, "totalSeconds: expected a number above 0"),
        ({"maxBytes": 1.5}, "maxBytes: expected a whole number"),
    ],
)
def test_a_wrong_policy_is_refused_by_name(value: Any, message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        SastSettings.from_settings({"sast.fetch": value})
    assert str(refused.value).startswith(f"setting sast.fetch: {message}")
