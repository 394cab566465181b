"""sast-analyze in pods, with the limits of the manifest for OntoWeb-PT: what fits and what does not."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import unquote

import pytest
import yaml

from e2e.cluster import Cluster
from e2e.queues import Queue, Queues
from fakes.pages import FINDINGS, FLOW, SLOW, generated, page
from servers.graph import GraphServer
from support import ROOT

ATTEMPTS: Final[dict[str, Any]] = {"attempts": 3, "backoff": {"type": "fixed", "delay": 500}}
LARGE_MB: Final = 8
"""Of code: it needs more memory than the manifest gives, and less than twice as much."""


def serve(queues: Queues, name: str, **changes: Any) -> Queue:
    """Serve the manifest as it is shipped; only names are the suite's, and what *changes* says."""
    spec = yaml.safe_load((ROOT / "manifests" / "jobqueue-sast.yaml").read_text())["spec"]
    defaults = spec["defaults"] | {"graph": {"secretRef": {"name": "graph"}}} | changes
    assert defaults["resources"]["limits"] == {"memory": "512Mi"}
    kept = {field: value for field, value in spec.items() if field in ("concurrency", "unknownJobs")}
    return queues.serve(name, spec["jobTypes"], defaults=defaults, **kept)


def result(queue: Queue, job_id: str) -> Any:
    return json.loads(queue.job(job_id)["returnvalue"])["result"]


def test_findings_of_a_page_are_in_the_value_and_in_the_graph(cluster: Cluster, queues: Queues) -> None:
    queue = serve(queues, "sast")
    job_id = queue.add("sast-analyze", page(FLOW, html="<form method=get action=/x>", url="https://e2e.example/p"))
    queue.until_counts(120, completed=1)
    assert queue.story(job_id) == ["added", "waiting", "active", "completed"]
    ids = {finding["findingId"] for finding in result(queue, job_id)["findings"]}
    assert {found.partition(":")[0] for found in ids} == {"form-method-get", "taint-flow", "no-innerhtml"}
    stored = {unquote(row["f"]) for row in GraphServer("e2e", cluster.graph_url).rows(FINDINGS)}
    assert {f"urn:finding:{found}" for found in ids} <= stored


@pytest.mark.slow
def test_a_page_that_outgrows_its_memory_gets_more_and_succeeds(queues: Queues) -> None:
    queue = serve(queues, "sast-large")
    job_id = queue.add("sast-analyze", page(FLOW, generated(LARGE_MB)), **ATTEMPTS)
    queue.until_counts(400, completed=1)
    story = ["added", "waiting", "active", "delayed", "waiting", "active", "completed"]
    assert queue.story(job_id) == story
    assert queue.job(job_id)["atm"] == "2"
    assert "taint-flow" in [finding["ruleId"] for finding in result(queue, job_id)["findings"]]
    lives = queue.until_ended(job_id)
    assert [life.exit_code for life in lives] == [137, 0]


@pytest.mark.slow
def test_a_page_over_its_timeout_fails_alone(queues: Queues) -> None:
    queue = serve(queues, "sast-slow", timeout="10s")
    slow = queue.add("sast-analyze", page(*SLOW), attempts=1)
    small = queue.add("sast-analyze", page(FLOW))
    queue.until_counts(200, completed=1, failed=1)
    assert queue.job(slow)["failedReason"] == "timed out after 10 s"
    assert queue.story(slow) == ["added", "waiting", "active", "failed", "retries-exhausted"]
    assert queue.story(small) == ["added", "waiting", "active", "completed"]
    assert result(queue, small)["totalFindings"] == 2
