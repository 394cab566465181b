"""Every row of the table of failures (tests/corpus): what Kubernetes reports, and what the job comes to by it.

As in the operator: raw JSON, then seen_from, then the decision table. A file holds `row`, `seen` (in words), the
objects, and `expected`; `bound` (true), `lock` (`live` or `absent`), `job` (`finished`), `age_s` and `nodes` where they
differ from an attempt that a pod has bound a minute ago on a node that is well.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bullpen_operator.classify import classify
from bullpen_operator.decide import Do, Moment, decide
from bullpen_operator.kube import KubeRefusedError
from bullpen_operator.kube_launcher import launch_error
from bullpen_operator.manifest import Placement, kube_job
from bullpen_operator.model import JobType
from bullpen_operator.outcome import Outcome, Verdict
from bullpen_operator.ports import ConfigurationFaultError, LaunchError, LauncherUnavailableError
from bullpen_operator.seen import Attempt, KubeJobSeen
from bullpen_operator.seen_from import (
    NodeSeen,
    OwnedPod,
    attempts_seen,
    kube_job_seen,
    node_seen,
    owned_pod,
    warnings_seen,
    with_node,
)
from bullpen_protocol.bullmq import Location
from fakes.sights import NOW
from support import ROOT

CORPUS = ROOT / "tests" / "corpus"
ROWS = 42
TOKEN = "bullpen/0123456789abcdef/aaaa"
ATTEMPT = Attempt("ns/jq", "bull", "q", "7", "resize", TOKEN)
ANSWERS = {
    Verdict.COMPLETED: "complete", Verdict.FAILED: "retry", Verdict.UNRECOVERABLE: "fail",
    Verdict.GIVE_BACK: "give back", Verdict.WAITING: "wait", Verdict.RUNNING: "wait",
}  # fmt: skip
CASES = sorted(CORPUS.glob("*.json"))
Json = dict[str, Any]


def test_every_row_is_there() -> None:
    rows = {json.loads(path.read_text())["row"] for path in CASES}
    assert rows == set(range(1, ROWS + 1))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_row_comes_to_what_the_table_says(path: Path) -> None:
    case = json.loads(path.read_text())
    assert case["row"] == int(path.name[:2])
    assert case["seen"]
    found = judged(case)
    assert {name: found[name] for name in case["expected"]} == case["expected"]


def judged(case: Json) -> Json:
    if "answers" in case:
        return answered(**case["answers"])
    if "podTemplate" in case:
        return rendered(case["podTemplate"])
    return decided(case)


def answered(status: int, reason: str, message: str, retryAfterS: float | None) -> Json:  # noqa: N803 - as in the files
    error = KubeRefusedError(status, reason, message, retryAfterS)
    if error.reason == "AlreadyExists":
        return {"answer": "nothing", "code": "launched"}
    return launched(launch_error(error, "resize"))


def rendered(template: Json) -> Json:
    job_type = JobType.model_validate({"name": "resize", "podTemplate": template})
    try:
        kube_job(ATTEMPT, job_type, Placement("ns", "jq", "i", "redis", default_image="runner:1"))
    except ConfigurationFaultError as error:
        return launched(error)
    raise AssertionError("it was rendered")


def launched(error: LaunchError) -> Json:
    if isinstance(error, LauncherUnavailableError):
        return {"answer": "wait", "code": "launcher"}
    assert isinstance(error, ConfigurationFaultError)
    return {"answer": "give back", "code": error.code, "fault": "configuration"}


def decided(case: Json) -> Json:
    seen = sight(case)
    now = (seen.created_at if seen is not None else NOW) + timedelta(seconds=case.get("age_s", 60))
    location = located(case, seen)
    lock_absent_s = 61.0 if case.get("lock") == "absent" else 0.0
    action = decide(ATTEMPT, location, seen, Moment(now, lock_absent_s, astray_s=61.0))
    if action.do is Do.SETTLE:
        assert action.outcome is not None
        return told(action.outcome)
    if action.do is Do.RECORD or seen is None or not location.active:
        return {"answer": "wait" if location.active else "nothing", "code": action.drift or "ok"} | (
            {"code": "recorded"} if action.do is Do.RECORD else {}
        )
    return waiting(case, seen, now, action.drift)


def waiting(case: Json, seen: KubeJobSeen, now: datetime, drift: str) -> Json:
    outcome = classify(seen, uid_of(case, seen) or None, now)
    ending = outcome.verdict is Verdict.RUNNING and any(pod.deleting for pod in seen.pods)
    return {"answer": "wait", "code": drift or ("ending" if ending else outcome.code)}


def told(outcome: Outcome) -> Json:
    return {
        "answer": ANSWERS[outcome.verdict],
        "code": outcome.code,
        "fault": outcome.fault.value,
        "confirmed": outcome.confirmed,
    }


def sight(case: Json) -> KubeJobSeen | None:
    """What the launcher makes of the objects: KubeJob and pods joined, the nodes' own words, the warnings."""
    nodes = {name: node(state) for name, state in case.get("nodes", {}).items()}
    pods = [with_its_node(one, nodes) for one in map(owned_pod, case.get("pods", ())) if one is not None]
    kube_jobs = [] if case.get("kubeJob") is None else [kube_job_seen(case["kubeJob"])]
    found = attempts_seen([one for one in kube_jobs if one is not None], pods)
    if not found:
        return None
    [seen] = found
    return replace(seen, warnings=warnings_seen(case.get("events", ())))


def node(state: str | None) -> NodeSeen:
    return node_seen(None if state is None else {"status": {"conditions": [{"type": "Ready", "status": state}]}})


def with_its_node(owned: OwnedPod, nodes: dict[str, NodeSeen]) -> OwnedPod:
    return replace(owned, pod=with_node(owned.pod, nodes.get(owned.pod.node)))


def uid_of(case: Json, seen: KubeJobSeen | None) -> str:
    if not case.get("bound", True):
        return ""
    return seen.pods[0].uid if seen is not None and seen.pods else "uid-of-a-pod-that-is-gone"


def located(case: Json, seen: KubeJobSeen | None) -> Location:
    uid = uid_of(case, seen)
    fence = f"{TOKEN}#{uid}" if uid else TOKEN
    active, live = case.get("job") != "finished", case.get("lock", "live") == "live"
    return Location("7", exists=True, active=active, lock=fence if active and live else None, lock_ms=1, pb=fence)
