"""Every rule of http-resolver is held by its own examples, and by hostile input of any size."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bullpen_processors.http.exchange import Exchange
from bullpen_processors.http.resolver import HttpResolver
from bullpen_processors.http.rule import Rule, Signature, example
from bullpen_processors.http.rules import RULES, disclosure, scripting, sql, traversal
from bullpen_processors.http.view import View
from fakes.processing import process

ALL: Final = [pytest.param(rule, id=rule.id) for rule in RULES]
SIGNATURES: Final = [
    pytest.param(signature, id=f"{family.__name__.rpartition('.')[2]}-{signature.name}-{index}")
    for family, signatures in (
        (sql, sql.SIGNATURES),
        (scripting, scripting.SIGNATURES),
        (traversal, traversal.SIGNATURES),
        (disclosure, disclosure.TRACES),
    )
    for index, signature in enumerate(signatures)
]
ORIGINAL: Final = [
    "insecure-http", "cors-misconfig", "mixed-content", "insecure-cookie", "missing-samesite", "token-in-url",
    "leak-stacktrace", "server-fingerprint", "sql-injection-pattern", "xss-payload-detected", "path-traversal",
    "open-redirect",
]  # fmt: skip
HOSTILE: Final = (
    "a", "<", "<a ", "<script ", "<img src=", '<a b="', "<a b='", "<!--", "</script", "http://", "'", '"', "' or ",
    "1 or ", "union(", "select ", "select a,", "(select ", "at ", "at a(", "../", "%25", "%", "&#1", "&lt", "a.", "a.A",
    "Error: ", "#0 ", 'File "', "eyJa.eyJ", "; ", ",a=", "[", '{"a":', "&", "=", "\\x", "javascript:", "on", ") in ",
    "thread '", 'near "', "url(", "fetch('", "delete from ", "order by 1", "\n", "\t", " ", "a=1;", "a=1, ", "://",
    "\\", "é", "😀", "+", "a/", "<meta ", "server/1", "goroutine 1 [", "'--", "/*", "x-",
)  # fmt: skip
MEBIBYTE: Final = 2**20


def judge(rule: Rule, item: Any) -> Any:
    return rule.judge(View(Exchange.from_json(item)))


@pytest.mark.parametrize("rule", ALL)
def test_a_rule_finds_something_in_its_bad_examples(rule: Rule) -> None:
    assert [item for item in rule.bad if judge(rule, item) is None] == []
    assert len(rule.bad) >= 2


@pytest.mark.parametrize("rule", ALL)
def test_a_rule_finds_nothing_in_its_good_examples(rule: Rule) -> None:
    assert [evidence for item in rule.good if (evidence := judge(rule, item)) is not None] == []
    assert len(rule.good) >= 2


@pytest.mark.parametrize("signature", SIGNATURES)
def test_a_signature_matches_its_own_text(signature: Signature) -> None:
    assert signature.pattern.search(signature.bad.replace("/**/", " ")) is not None


def test_the_rules_of_the_original_come_first_to_last_in_its_order() -> None:
    assert [rule.id for rule in RULES if rule.id in ORIGINAL] == ORIGINAL
    assert len({rule.id for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", ALL)
def test_no_description_is_taken_for_another_vulnerability(rule: Rule) -> None:
    """OntoWeb-PT's other parts read the type out of these words."""
    text = f"{rule.id} {rule.category} {rule.description}".lower()
    tokens = {
        "xss": "xss-payload-detected",
        "sql injection": "sql-injection-pattern",
        "sqli": "",
        "open redirect": "open-redirect",
        "path traversal": "path-traversal",
        "../": "",
    }
    assert [token for token, owner in tokens.items() if token in text and rule.id != owner] == []
    assert not ("xss" in text and any(word in text for word in ("dom", "stored", "reflected")))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = (
    st.sampled_from(["set-cookie", "Server", "location", "content-type", "access-control-allow-origin", "date"]) | JSON
)
PAIRS = st.lists(st.fixed_dictionaries({"name": NAMES, "value": JSON}) | JSON, max_size=5)
ITEMS = JSON | st.fixed_dictionaries(
    {"id": JSON, "method": JSON},
    optional={
        "uri": JSON
        | st.fixed_dictionaries({}, optional={"full": JSON, "path": JSON, "queryRaw": JSON, "params": PAIRS}),
        "bodyBase64": JSON,
        "requestHeaders": PAIRS,
        "response": JSON | st.fixed_dictionaries({}, optional={"status": JSON, "headers": PAIRS, "bodyBase64": JSON}),
    },
)


@given(item=ITEMS)
@settings(max_examples=100, deadline=None)
def test_nothing_raises_whatever_an_item_is(item: Any) -> None:
    processed = process(HttpResolver(), {"list": [item]})
    found = processed.value()["result"]["totalFindings"]
    assert len({finding for finding in processed.stored() if "#findingRuleId>" in finding}) == found


def everywhere(text: str) -> Any:
    """Return an item that has *text* wherever a producer can put some."""
    return example(
        "https://shop.example/?next=" + text,
        params={"next": text, text: "x"},
        sent=[("content-type", "application/x-www-form-urlencoded")],
        form=text,
        status=500,
        headers=[(name, text) for name in ("server", "set-cookie", "location", "date", "content-security-policy")]
        + [("content-type", "text/html")],
        body=text,
    )


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


@pytest.mark.parametrize("seed", HOSTILE)
def test_four_times_as_much_hostile_text_takes_about_four_times_as_long(seed: str) -> None:
    def all_rules(size: int) -> Callable[[], object]:
        item = everywhere((seed * (size // len(seed) + 1))[:size])
        view = View(Exchange.from_json(item))
        return lambda: [rule.judge(view) for rule in RULES]

    small, large = seconds(all_rules(8_192)), seconds(all_rules(32_768))
    assert large < 8 * small + 0.25  # a quadratic rule takes 16 times as long


@pytest.mark.parametrize("rule", ALL)
def test_five_megabytes_of_hostile_text_take_seconds(rule: Rule) -> None:
    """The prefixes that a rule looks for, without what would complete them, in a body and in a parameter."""
    pieces = [
        "<script src='http:",
        "at a(",
        "http://a ",
        "' or ",
        "select a,",
        "<a on",
        "a=1, ",
        "%2e%2e",
        "Error:",
        "eyJ",
    ]
    text = "".join(piece * (MEBIBYTE // (2 * len(piece))) for piece in pieces)
    assert len(text) > 4.9 * MEBIBYTE
    page = [("content-type", "text/html")]
    item = example("https://shop.example/?q=1", params={"q": text}, form=text, status=500, headers=page, body=text)
    view = View(Exchange.from_json(item))
    took = seconds(lambda: rule.judge(view))
    assert took < 30
