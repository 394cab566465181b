"""The comparison itself, on recorded jobs of our own: it runs them for real, and a planted difference fails it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from conformance.cases import OWN, Case, Fault, Outcome, recorded
from conformance.judging import Report, judge
from conformance.places import ABSENT, in_quads, in_values
from conformance.running import PRODUCER, run
from conformance.store import LONGEST, JobStore
from conformance.triples import Triples
from servers.node import NodeClient
from support import require

EQUAL = "http-ingest/one-exchange"
STRAY = "<urn:a> <urn:p> <urn:b> <urn:g> ."


@dataclass(frozen=True)
class Ran:
    """Our own cases, and what became of them."""

    cases: Mapping[str, Case]
    ours: Mapping[str, Outcome]

    def report(self, **changed: Case) -> Report:
        """Judge them, some of them changed."""
        return Report([judge(name, changed.get(name, case), self.ours[name]) for name, case in self.cases.items()])


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    require("redis-server")
    cases = dict(recorded(OWN))
    node = NodeClient(PRODUCER)
    try:
        yield Ran(cases, run(cases, tmp_path_factory.mktemp("own"), node, concurrency=2))
    finally:
        node.close()


pytestmark = pytest.mark.xdist_group("conformance")


def test_recorded_jobs_run_for_real_differ_only_as_meant(ran: Ran) -> None:
    report = ran.report()
    assert [line for verdict in report.left for line in verdict.lines()] == []
    assert {verdict.name: set(verdict.meant) for verdict in report.verdicts if verdict.meant} == {
        "http-ingest/store-away-twice": {"a store that fails is waited for"},
        "invalid/unknown-name": {"no second try where none can help"},
        "invalid/without-method": {"no second try where none can help"},
        "sparql-update/store-away-for-good": {"a store that fails is waited for"},
        "sparql-update/unclosed": {"no second try where none can help", "the store's own words"},
    }


def test_the_report_counts_cases_by_job_type_and_by_predicate(ran: Ran) -> None:
    lines = list(ran.report().lines())
    assert "     2  JUDGEMENT 1: a store that fails is waited for" in lines
    assert "     3  http-requests-writes http-ingest" in lines
    assert lines[-1] == "8 cases: 3 equal, 5 different only as meant, 0 different otherwise; 48 predicates"


@pytest.mark.parametrize(
    ("planted", "place"),
    [
        pytest.param({"state": "failed"}, ("state",), id="state"),
        pytest.param({"attempts": 2}, ("attempts",), id="attempts"),
        pytest.param({"reason": "ERR_BAD_RESPONSE"}, ("reason",), id="reason"),
        pytest.param({"value": {"status": 204}}, ("value", "count"), id="value"),
        pytest.param({"quads": frozenset({STRAY})}, ("quads", STRAY), id="quads"),
    ],
)
def test_a_planted_difference_is_found_and_fails(ran: Ran, planted: dict[str, Any], place: tuple[str, ...]) -> None:
    case = ran.cases[EQUAL]
    report = ran.report(**{EQUAL: replace(case, theirs=replace(case.theirs, **planted))})
    (verdict,) = report.left
    assert verdict.name == EQUAL
    assert place in {(difference.what, *difference.place) for difference in verdict.left}
    assert f"{EQUAL}: {len(verdict.left)} difference(s) that nothing means" in report.lines()


def test_one_triple_more_or_less_is_one_difference(ran: Ran) -> None:
    theirs, ours = ran.cases[EQUAL].theirs, ran.ours[EQUAL]
    assert list(in_quads(theirs.quads, ours.quads | {STRAY})) == [((STRAY,), ABSENT, STRAY)]
    lost = min(ours.quads)
    assert list(in_quads(theirs.quads, ours.quads - {lost})) == [((lost,), lost, ABSENT)]


def test_a_predicate_means_nothing_where_ours_is_not_what_it_should_be(ran: Ran) -> None:
    name = "http-ingest/store-away-twice"
    spent = replace(ran.ours[name], attempts=2)
    assert [difference.what for difference in judge(name, ran.cases[name], spent).left] == ["attempts", "reason"]


@pytest.mark.parametrize(
    ("reason", "left"),
    [
        pytest.param("the graph store refused the write: it answered 400 Bad Request: no", [], id="the-stores-words"),
        pytest.param("something else", ["state", "reason", "value"], id="another-reason"),
    ],
)
def test_a_job_may_fail_for_a_store_that_refused_and_for_nothing_else(reason: str, left: list[str]) -> None:
    lost = Outcome("completed", 1, {"insertStatus": None})
    case = Case("sparql-writes", "sparql-update", None, {}, lost, faults=(Fault(400),), updates=("",), statuses=(400,))
    verdict = judge("any", case, Outcome("failed", 1, reason=reason))
    assert [difference.what for difference in verdict.left] == left


# -- places


def test_a_value_differs_at_each_place_by_itself() -> None:
    theirs, ours = {"a": [1, {"b": None}], "c": 1}, {"a": [1, {"b": ""}, 2], "d": 1}
    assert list(in_values(theirs, ours)) == [
        (("a", 1, "b"), None, ""),
        (("a", 2), ABSENT, 2),
        (("c",), 1, ABSENT),
        (("d",), ABSENT, 1),
    ]


def test_true_is_not_one() -> None:
    assert list(in_values({"x": 1}, {"x": True})) == [(("x",), 1, True)]


# -- stores


def test_graphs_of_bullpens_own_are_left_out_of_the_comparison() -> None:
    triples = Triples()
    triples.update(
        "INSERT DATA { GRAPH <urn:bullpen:attempt:1> { <urn:a> a <urn:b> } GRAPH <urn:g> { <urn:a> <urn:p> 1 } }"
    )
    assert [line.split(" ")[-2] for line in triples.lines(exact=True)] == ["<urn:g>"]


def test_an_outage_that_was_recorded_as_endless_ends() -> None:
    store = JobStore.of(Case("q", "j", None, {}, Outcome("failed", 5), faults=(Fault(503, times=99),)))
    answers = [store.take("INSERT DATA { <urn:a> <urn:p> 1 }").status for _ in range(LONGEST + 1)]
    assert answers == [503] * LONGEST + [204]


def test_what_the_original_meant_to_store_counts_where_its_store_did_not_take_it() -> None:
    update = "PREFIX e: <urn:> INSERT DATA { GRAPH e:g { e:a e:p <undefined> } }"
    case = Case("q", "j", None, {}, Outcome("completed", 1), updates=(update,), statuses=(503,))
    (line,) = case.meant
    assert line == "<urn:a> <urn:p> <http://relative.invalid/undefined> <urn:g> ."
    assert replace(case, statuses=(204,)).meant == frozenset()
