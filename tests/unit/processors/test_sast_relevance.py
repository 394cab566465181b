"""Of a large script, functions that speak of nothing that rules are about wait until a value reaches them."""

from __future__ import annotations

from typing import Any

import pytest

from bullpen_processors.sast.analysis import SMALLEST, flows_of, lower
from bullpen_processors.sast.lower.state import Page
from bullpen_processors.sast.models import built_in_models
from bullpen_processors.sast.relevance import Vocabulary
from bullpen_processors.sast.units import units_of

FILLING = "\n".join(
    f"function filling{n}(a, b) {{ var c = a + b * {n}; return c > {n} ? [a, b, c] : c }}" for n in range(900)
)


def lowered(code: str, *, filling: str = FILLING) -> tuple[Page, list[Any]]:
    models = built_in_models()
    page = Page(models.words)
    lower(page, list(units_of("", [{"code": f"{code}\n{filling}"}], {}, lambda _: True)), models)
    return page, flows_of(page, models)[1]


def test_what_no_value_reaches_is_not_looked_at() -> None:
    assert len(FILLING) >= SMALLEST
    page, flows = lowered("e.innerHTML = location.hash")
    assert (len(flows), len(page.postponed)) == (1, 900)


def test_a_small_script_is_looked_at_as_a_whole() -> None:
    page, _ = lowered("e.innerHTML = location.hash", filling=FILLING[: SMALLEST // 2])
    assert page.postponed == []


@pytest.mark.parametrize(
    "code",
    [
        "function pass(first, second) { var held = [first, second]; return held }"
        "e.innerHTML = pass(1, location.hash)[1]",
        "function outer(first) { return function inner(second) { var third = second; return third + first } }"
        "e.innerHTML = outer('')(location.hash)",
        "var held = location.hash; function give() { var given = 'a'; given = given + held; return given }"
        "e.innerHTML = give()",
        "class Box { constructor(first) { this.kept = first; this.more = 1 } open() { var it = this.kept; return it } }"
        "e.innerHTML = new Box(location.hash).open()",
        "function relay(what) { var again = what; again = again + '!'; return show(again) }"
        "function show(it) { e.innerHTML = it } relay(location.hash)",
        "function tools() { var made = {pass: function (it) { var again = it; return again }}; return made }"
        "var tool = tools(); e.innerHTML = tool.pass(location.hash)",
    ],
    ids=["parameter", "closure", "variable", "object", "relay", "maker"],
)
def test_a_function_that_a_value_reaches_is_looked_at(code: str) -> None:
    page, flows = lowered(code)
    assert len(flows) == 1
    assert len(page.postponed) >= 898


def test_what_wraps_a_script_does_not_wait() -> None:
    wrapped = f"(function (root, make) {{ root.it = make() }})(this, function () {{ {FILLING}\n return filling1 }})"
    page, _ = lowered(wrapped, filling="")
    assert len(page.postponed) == 900


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("e.innerHTML = x", True),
        ("e['innerHTML'] = x", True),
        ("if (e.innerHTML == x) f()", False),
        ("$('#a').html(x)", True),
        ("x.attr('title', y)", False),
        ("x.attr('href', y)", True),
        ("f({name: 1})", False),
        ("f(o.name)", False),
        ("f(name)", True),
        ("f(window.name)", True),
        ("addEventListener('message', f)", True),
        ("o.addEventListener('click', f)", False),
        ("o.value = x", False),
        ("x = event.target.value", True),
        ("x = '\"value\"'", False),
    ],
)
def test_a_word_counts_where_it_stands_as_a_rule_means_it(code: str, found: bool) -> None:
    vocabulary = Vocabulary(built_in_models(), places=False)
    assert vocabulary.spots(code.encode()).any_within(0, len(code)) is found


def test_places_that_are_reported_without_a_flow_count_where_they_are_reported() -> None:
    assert not Vocabulary(built_in_models(), places=False).spots(b"a.appendChild(b)").any_within(0, 16)
    assert Vocabulary(built_in_models(), places=True).spots(b"a.appendChild(b)").any_within(0, 16)
