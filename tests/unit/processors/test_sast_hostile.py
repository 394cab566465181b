"""A page that is made to stall a parser takes no longer than it may, and hides nothing of what stands around it."""

from __future__ import annotations

import time
from typing import Any

import pytest
import tree_sitter

from bullpen_processors.sast.analyzer import SastAnalyze
from bullpen_processors.sast.syntax import Tree, language
from bullpen_processors.sast.trial import readable
from fakes.processing import process

GREEDY = "/re[(]*/g" * 400 + "/reL = '<b>' + 1" + "[(]*/g/re" * 900 + "(]*/g/re[" * 250
AROUND = ("e.innerHTML = location.hash", "document.write(name)")


def findings(script: str, html: str = "") -> tuple[list[dict[str, Any]], float]:
    scripts = [{"code": code} for code in (AROUND[0], script, AROUND[1])]
    began = time.process_time()
    found = process(SastAnalyze(), {"url": "https://x.test/", "html": html, "scripts": scripts}).value()
    return found["result"]["findings"], time.process_time() - began


@pytest.mark.parametrize(
    ("script", "html"),
    [
        pytest.param("needs: [html]" * 3_500, "", id="errors-whose-recovery-is-quadratic"),
        pytest.param("1" + "+1" * 50_000, "", id="a-sum-of-50000"),
        pytest.param("(" * 20_000 + ")" * 20_000, "", id="nested-parentheses"),
        pytest.param("[" * 20_000, "", id="never-closed"),
        pytest.param(GREEDY, "", id="brackets-whose-recovery-takes-a-gigabyte"),
        pytest.param("await " * 5_000, "", id="awaits-of-awaits"),
        pytest.param("[" * 10_000 + "await a" + "]" * 10_000, "", id="an-await-deep-down"),
        pytest.param("`${" * 5_000, "", id="templates-in-templates"),
        pytest.param("", "<form " * 20_000, id="forms"),
        pytest.param("", "<div>" * 20_000, id="nested-tags"),
        pytest.param("", '<a onclick="' * 20_000, id="handlers-never-closed"),
    ],
)
def test_what_stands_around_it_is_found_in_time(script: str, html: str) -> None:
    found, took_s = findings(script, html)
    files = [finding["file"] for finding in found if finding["ruleId"] == "taint-flow"]
    assert files == ["inline-script[#0]", "inline-script[#2]"]
    assert took_s < 6.0


def test_a_script_that_takes_too_long_to_parse_is_cut_and_that_is_said() -> None:
    script = "eval(location.hash);\n" + "needs: [html]" * 3_500
    found, _ = findings(script)
    rules = [finding["ruleId"] for finding in found if finding["file"] == "inline-script[#1]"]
    assert {"taint-flow", "parse-error"} <= set(rules)
    tree = Tree(script, "javascript")
    assert tree.is_broken
    assert tree.error_at is not None


@pytest.mark.parametrize(
    ("script", "is_read"),
    [
        pytest.param("f(" * 150, True, id="few"),
        pytest.param(f"a = '{'(' * 5_000}'; eval(location.hash)", True, id="in-a-text"),
        pytest.param("(" * 20_000, True, id="many-that-cost-nothing"),
        pytest.param(GREEDY, False, id="many-that-cost-a-gigabyte"),
    ],
)
def test_a_script_whose_brackets_do_not_close_is_read_as_far_as_memory_goes(script: str, is_read: bool) -> None:
    parser = tree_sitter.Parser(language("javascript"))
    source = script.encode()
    end = readable(source, lambda: parser.parse(source))
    assert (end == len(source)) is is_read
    assert end > 1_000 or is_read
