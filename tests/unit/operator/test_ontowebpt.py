"""The worker of OntoWeb-PT, variable by variable: what the page says about each, and what the manifests do."""

from __future__ import annotations

import re
from typing import Final

import pytest
import yaml

from bullpen_operator.model import JobQueue, JobQueueSpec
from support import ROOT

FOUR: Final = ("HTTP_REQUESTS", "SPARQL", "TECHSTACK", "ANALYZER")
VARIABLES: Final = {
    "REDIS_HOST", "REDIS_PORT", "QUIET_REDIS_ERRORS",
    *(f"QUEUE_NAME_{one}_WRITES" for one in FOUR),
    *(f"CONCURRENCY_WORKER_{one}" for one in FOUR),
    *(f"STALLED_INTERVAL_WORKER_{one}" for one in FOUR),
    "GRAPHDB_BASE", "GRAPHDB_REPO", "GRAPHDB_HEALTH_INTERVAL_MS",
    "ONT_EX", "ONT_CONTENT", "HTTP_REQUESTS_NAME_GRAPH", "FINDINGS_NAME_GRAPH",
    "NVD_API_KEY",
    "LOGS_WS_URL", "SERVER_HOST", "SERVER_PORT",
    "LOG_LEVEL", "LOG_FORMAT", "NODE_ENV", "LOG_COALESCE_WINDOW_MS",
}  # fmt: skip
"""All that the worker reads, directly or through its libraries of helpers."""

ROW: Final = re.compile(r"^\| (?P<names>`[^|]+`) \| (?P<default>[^|]+) \| (?P<here>[^|]+) \|$", re.MULTILINE)


def page() -> str:
    return (ROOT / "docs" / "ontowebpt.md").read_text()


def spec(name: str) -> JobQueueSpec:
    return JobQueue.model_validate(yaml.safe_load((ROOT / "manifests" / name).read_text())).spec


def test_every_variable_of_the_worker_has_its_row() -> None:
    rows = [re.findall(r"`([A-Z_]+)`", row["names"]) for row in ROW.finditer(page())]
    listed = [name for names in rows for name in names]
    assert sorted(listed) == sorted(VARIABLES)


def test_every_field_that_the_page_names_is_one() -> None:
    fields = {part for row in ROW.finditer(page()) for part in re.findall(r"`spec\.([A-Za-z]+)", row["here"])}
    known = {field.alias or name for name, field in JobQueueSpec.model_fields.items()}
    assert fields
    assert fields <= known


@pytest.mark.parametrize(
    ("name", "queue", "namespace", "job_types"),
    [
        ("jobqueue-http.yaml", "http-requests-writes", "worker:http", ["http-ingest", "http-resolver"]),
        ("jobqueue-sparql.yaml", "sparql-writes", "worker:sparql", ["sparql-update"]),
        ("jobqueue-techstack.yaml", "techstack-analyze", "worker:techstack", ["techstack-analyze"]),
        ("jobqueue-sast.yaml", "analyzer-writes", "worker:analyzer", ["sast-analyze"]),
    ],
)
def test_the_manifests_do_as_the_worker_does(name: str, queue: str, namespace: str, job_types: list[str]) -> None:
    served = spec(name)
    assert (served.queue, served.prefix, served.log_namespace) == (queue, "bull", namespace)
    assert (served.concurrency, served.unknown_jobs) == (2, "fail")
    assert [job_type.name for job_type in served.job_types] == job_types
    assert all(served.job_type(one.name).graph for one in served.job_types)  # type: ignore[union-attr] # it has them
