"""Whatever a page is, its analysis ends with a value that can be written down."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bullpen_processors.sast.analyzer import SastAnalyze
from bullpen_processors.sast.ruleset import RuleError, check
from fakes.processing import process

PIECES = [
    '<a onclick="', '"', "'", ">", "<script>", "</script>", "eval(", "location.hash", ")", "{", "}", "=>",
    "function f(a,b)", "`${", "class A extends B{", "this.", ".x", "=", "+", "[", "]", "...", "let ", "const ",
    "var ", "if(", "else", "for(const x of y)", "return ", ";", "\n", 'import {a} from "b";', "export ",
    "/re(x)*/g", "😀", "\ud800", "\x00", '<iframe srcdoc="', "&lt;", "javascript:", ".replace(", ".innerHTML",
    "?.", "??=", "async ", "await ", "yield ", "switch(a){case 1:", "try{", "}catch(e){", "new ",
    "new Function(", "<b dangerouslySetInnerHTML={{__html:x}}/>", "0", '.split("',
    'addEventListener("message",', "delete ", "label:", "//", "/*", "*/", "<!--", "-->", "<form method=get ",
]  # fmt: skip
CODE = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)
LOOSE: st.SearchStrategy[Any] = st.one_of(CODE, st.none(), st.integers(), st.just([]), st.just({}))
SCRIPT = st.fixed_dictionaries({}, optional={"src": LOOSE, "code": LOOSE, "type": LOOSE})
PAGE = st.fixed_dictionaries(
    {},
    optional={
        "url": LOOSE,
        "html": LOOSE,
        "scripts": st.one_of(st.lists(SCRIPT, max_size=4), LOOSE),
        "forms": st.lists(st.fixed_dictionaries({}, optional={"action": LOOSE, "inputs": LOOSE}), max_size=2),
        "iframes": st.lists(LOOSE, max_size=2),
        "includeSnippets": st.booleans(),
    },
)


@given(PAGE)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_page_comes_to_a_value_with_ids_of_its_own(payload: Any) -> None:
    processed = process(SastAnalyze(), payload, {"explain": True})
    result = processed.value()["result"]
    json.dumps(result)
    found = [finding["findingId"] for finding in result["findings"]]
    assert len(found) == len(set(found)) == result["totalFindings"]
    assert not set(found) & {seen["findingId"] for seen in result["explained"]}
    processed.stored()


@given(st.text(max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_text_is_a_file_of_rules_or_is_refused_by_name(text: str) -> None:
    refused = ""
    try:
        check("own.yaml", text)
    except RuleError as error:
        refused = str(error)
    assert refused == "" or refused.startswith("own.yaml:")
