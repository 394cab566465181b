"""The table of failures: each row has words, a case, and only scenarios that there are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import generate_failures_docs
from failure_rows import CORPUS, Row, Scenario, rows, scenarios
from generate_failures_docs import tried

ROWS = range(1, 43)


def test_every_row_has_words_and_a_case_in_the_corpus() -> None:
    cases = {json.loads(path.read_text())["row"] for path in CORPUS.glob("*.json")}
    assert [row.number for row in rows()] == list(ROWS)
    assert cases == set(ROWS)
    assert [row.number for row in rows() if not (row.what and row.do and row.answers)] == []


def test_no_scenario_claims_a_row_that_there_is_not() -> None:
    assert {number for one in scenarios() for number in one.rows} <= set(ROWS)


def test_scenarios_are_read_off_their_markers(tmp_path: Path) -> None:
    text = """
import pytest

pytestmark = [pytest.mark.usefixtures("x")]

@pytest.mark.slow
@pytest.mark.row(12, 13)
def test_slow(cluster): ...

@pytest.mark.row(9)
def test_quick(cluster): ...

def test_none(): ...
"""
    (tmp_path / "test_a.py").write_text(text)
    (tmp_path / "test_b.py").write_text(text.replace('usefixtures("x")', "slow"))
    assert list(scenarios(tmp_path)) == [
        Scenario("test_a::test_slow", (12, 13), slow=True),
        Scenario("test_a::test_quick", (9,), slow=False),
        Scenario("test_b::test_slow", (12, 13), slow=True),
        Scenario("test_b::test_quick", (9,), slow=True),
    ]


@pytest.mark.parametrize(
    ("answers", "costs"),
    [
        (("give back", "wait"), "no"),
        (("retry",), "yes"),
        (("retry", "wait"), "yes"),
        (("retry", "give back"), "it depends"),
        (("complete",), "no"),
    ],
)
def test_a_row_costs_an_attempt_where_its_ends_do(answers: tuple[str, ...], costs: str) -> None:
    assert Row(1, "", "", answers).costs == costs


def test_a_row_is_tried_by_the_corpus_alone_until_a_scenario_says_so() -> None:
    slow, quick = Scenario("a", (1,), slow=True), Scenario("b", (1,), slow=False)
    assert [tried(Row(1, "", "", (), found)) for found in ((), (slow,), (slow, quick))] == [
        "recorded",
        "cluster, slow",
        "cluster",
    ]


def test_the_table_for_users_is_that_of_the_corpus() -> None:
    assert generate_failures_docs.main(["--check"]) == 0
