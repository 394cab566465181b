"""The comparison itself, on recorded jobs of our own: it runs them for real, and a planted difference fails it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from conformance.alone import alone
from conformance.cases import OWN, QUEUES, RECORDED, Case, Fault, Outcome, recorded
from conformance.differences import ABSENT, Difference, differences
from conformance.judging import Report, judge
from conformance.running import PRODUCER, run
from conformance.store import LONGEST, JobStore
from conformance.triples import Triples
from servers.node import NodeClient
from support import MISSING, require

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
    assert lines[-1] == "8 cases: 3 equal, 5 different only as meant, 0 different otherwise; 8 predicates"


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
    assert differences(theirs, replace(ours, quads=ours.quads | {STRAY})) == [Difference("quads", (STRAY,), ours=True)]
    lost = min(ours.quads)
    assert differences(theirs, replace(ours, quads=ours.quads - {lost})) == [Difference("quads", (lost,), theirs=True)]


def test_a_predicate_means_nothing_where_ours_is_not_what_it_should_be(ran: Ran) -> None:
    name = "http-ingest/store-away-twice"
    spent = replace(ran.ours[name], attempts=2)
    assert [difference.what for difference in judge(name, ran.cases[name], spent).left] == ["attempts", "reason"]


# -- findings


def analysis(*findings: dict[str, Any], total: int | None = None) -> Any:
    high = sum(finding["severity"] == "high" for finding in findings)
    stats = {"high": high, "low": len(findings) - high}
    count = len(findings) if total is None else total
    return {"result": {"totalFindings": count, "stats": stats, "findings": list(findings)}}


def finding(rule: str, request: str = "r1", severity: str = "high", **more: Any) -> dict[str, Any]:
    return {"ruleId": rule, "requestId": request, "severity": severity, **more}


def compared(theirs: Any, ours: Any) -> list[Difference]:
    return differences(Outcome("completed", 1, theirs), Outcome("completed", 1, ours))


def test_a_finding_more_is_one_difference_and_its_counts_follow() -> None:
    more = finding("b")
    assert compared(analysis(finding("a"), finding("c")), analysis(finding("a"), more, finding("c"))) == [
        Difference("value", ("result", "findings", "b r1"), ABSENT, more)
    ]


def test_counts_that_do_not_follow_from_the_findings_are_a_difference() -> None:
    assert compared(analysis(finding("a")), analysis(finding("a"), total=7)) == [
        Difference("value", ("result", "totalFindings"), ABSENT, 7)
    ]


def test_findings_are_held_against_their_like_and_in_order() -> None:
    theirs, ours = (finding("a"), finding("b", evidence=["x"])), (finding("b", evidence=["y"]), finding("a"))
    assert compared(analysis(*theirs), analysis(*ours)) == [
        Difference("value", ("result", "findings", "b r1", "evidence", 0), "x", "y"),
        Difference("value", ("result", "findings", "order"), ["a r1", "b r1"], ["b r1", "a r1"]),
    ]


def test_a_second_finding_of_one_rule_and_request_is_not_lost_sight_of() -> None:
    assert compared(analysis(finding("a")), analysis(finding("a"), finding("a"))) == [
        Difference("value", ("result", "findings", "a r1 #2"), ABSENT, finding("a"))
    ]


def test_true_is_not_one() -> None:
    assert compared({"x": 1}, {"x": True}) == [Difference("value", ("x",), 1, True)]


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


# -- all recorded jobs, quickly


@pytest.mark.parametrize(("job_type", "least"), [("http-ingest", 90), ("sparql-update", 15)])
def test_processors_alone_come_to_the_same_as_the_original(job_type: str, least: int) -> None:
    if not RECORDED.is_dir():
        pytest.skip(f"{MISSING}the original's recorded jobs (../shared/oracle)")
    known = {queue: types for queue, types in QUEUES.items() if job_type in types}
    cases = {
        name: case
        for name, case in recorded(RECORDED)
        if case.job_name == job_type and case.queue in known and not case.faults
    }
    report = Report([judge(name, case, alone(case)) for name, case in cases.items()])
    assert [line for verdict in report.left for line in verdict.lines()] == []
    assert len(cases) >= least
