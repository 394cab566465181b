"""Every recorded job of the original, by its processor alone: what `make conformance` does for real, in seconds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from conformance.alone import alone
from conformance.cases import RECORDED, Case, recorded
from conformance.judging import Report, judge
from support import MISSING

TRUTH = RECORDED.parent / "truth"

pytestmark = pytest.mark.skipif(
    not RECORDED.is_dir(), reason=f"{MISSING}the original's recorded jobs (../shared/oracle)"
)


NOT_LOOKED_FOR = {"prototype-pollution"}
"""Flaws of pages that no rule is about."""


def of(job_type: str) -> Iterator[tuple[str, Case]]:
    """Yield the cases of a job type before a store that works."""
    for name, case in recorded(RECORDED):
        if case.job_name == job_type and case.is_known and not case.faults:
            yield name, case


@pytest.mark.parametrize(
    ("job_type", "least"),
    [
        ("http-ingest", 90),
        ("http-resolver", 80),
        ("sparql-update", 15),
        ("techstack-analyze", 38),
        ("sast-analyze", 300),
    ],
)
def test_every_recorded_job_comes_to_the_same(job_type: str, least: int) -> None:
    report = Report([judge(name, case, alone(case)) for name, case in of(job_type)])
    assert [line for verdict in report.left for line in verdict.lines()] == []
    assert len(report.verdicts) >= least


def test_every_true_finding_is_found_and_no_false_one() -> None:
    """What a security engineer says of each recorded job, which the original's findings are not."""
    judged, wrong = 0, []
    for name, case in of("http-resolver"):
        truth, value = _truth(name), alone(case).value
        if truth is None or value is None:
            continue
        judged += 1
        found = {finding["ruleId"] for finding in value["result"]["findings"]}
        wrong += [f"{name} misses {entry['r']}" for entry in truth["must"] if entry["r"] not in found]
        wrong += [f"{name} has {entry['r']}" for entry in truth["mustNot"] if entry["r"] in found]
    assert wrong == []
    assert judged >= 40


def test_every_true_finding_of_a_site_is_found_and_no_false_one() -> None:
    judged, wrong = 0, []
    for name, case in of("techstack-analyze"):
        truth, value = _truth(name), alone(case).value
        if truth is None or value is None:
            continue
        judged += 1
        found = {finding["rule"] for finding in value["result"]["findings"]}
        found |= {finding["id"].rpartition(":")[2] for finding in value["result"]["findings"]}
        unknown = value["result"]["lookups"] == "failed"  # NVD never answered, and that is said
        wrong += [f"{name} misses {entry['r']}" for entry in truth["must"] if entry["r"] not in found and not unknown]
        wrong += [f"{name} has {entry['r']}" for entry in truth["mustNot"] if entry["r"] in found]
        wrong += [f"{name} has {found}" for entry in truth["mustNot"] if entry["r"] == "*" and found]
    assert wrong == []
    assert judged >= 9


def test_every_true_finding_of_a_page_is_found_and_no_false_one() -> None:
    judged, wrong = 0, []
    for name, case in of("sast-analyze"):
        truth, value = _truth(name), alone(case).value
        if truth is None or value is None:
            continue
        judged += 1
        found = {finding["ruleId"] for finding in value["result"]["findings"]}
        wrong += [f"{name} misses {entry['r']}" for entry in truth["must"] if entry["r"] not in found | NOT_LOOKED_FOR]
        wrong += [f"{name} has {entry['r']}" for entry in truth["mustNot"] if entry["r"] in found]
    assert wrong == []
    assert judged >= 100


def test_a_finding_of_a_site_that_is_lost_is_not_explained() -> None:
    case = dict(of("techstack-analyze"))["techstack-analyze/full-realistic"]
    ours = alone(case)
    result = ours.value["result"]
    both = {finding["id"] for finding in case.theirs.value["result"]["findings"]}
    for index, finding in enumerate(result["findings"]):
        if finding["id"] not in both:
            continue
        kept = [*result["findings"][:index], *result["findings"][index + 1 :]]
        left = judge("any", case, replace(ours, value={**ours.value, "result": {**result, "findings": kept}})).left
        assert any(difference.what == "gone" for difference in left), finding["id"]


def test_a_finding_of_a_page_that_is_lost_is_not_explained() -> None:
    case = dict(of("sast-analyze"))["sast-analyze/rule-every-one"]
    ours = alone(case)
    result = ours.value["result"]
    both = {finding["findingId"] for finding in case.theirs.value["result"]["findings"]}
    kept = [finding for finding in result["findings"] if finding["findingId"] in both]
    assert len(kept) >= 8
    for lost in kept:
        rest = [finding for finding in result["findings"] if finding is not lost]
        left = judge("any", case, replace(ours, value={**ours.value, "result": {**result, "findings": rest}})).left
        assert any(difference.what == "gone" for difference in left), lost["findingId"]


def _truth(name: str) -> dict[str, list[dict[str, str]]] | None:
    path = TRUTH / f"{name}.json"
    truth: dict[str, list[dict[str, str]]] | None = (
        json.loads(path.read_text()).get("truth") if path.is_file() else None
    )
    return truth


def test_a_finding_that_is_lost_is_not_explained() -> None:
    case = dict(of("http-resolver"))["http-resolver/all-rules-one"]
    ours = alone(case)
    findings = ours.value["result"]["findings"]
    assert len(findings) >= 10
    for index, finding in enumerate(findings):
        lost = replace(ours, value=_analysis([*findings[:index], *findings[index + 1 :]]))
        left = judge("any", case, lost).left
        assert any(difference.rule == finding["ruleId"] for difference in left), finding["ruleId"]


def test_a_finding_that_is_found_and_not_stored_is_not_explained() -> None:
    case = dict(of("http-resolver"))["http-resolver/all-rules-one"]
    ours = alone(case)
    for kept in (frozenset[str](), frozenset(line for line in ours.quads if "severity" not in line)):
        assert {difference.what for difference in judge("any", case, replace(ours, quads=kept)).left} == {"quads"}


def _analysis(findings: list[dict[str, Any]]) -> Any:
    stats = {level: sum(one["severity"] == level for one in findings) for level in ("high", "medium", "low")}
    result = {"ok": True, "totalFindings": len(findings), "stats": stats, "findings": findings}
    return {"result": result, "insertStatus": 204}
