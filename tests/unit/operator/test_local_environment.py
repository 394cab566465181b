"""What a local runner is told besides where its stores are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bullpen_operator.local.environment import Connections, RunnerEnvironment
from bullpen_operator.model import JobType
from bullpen_operator.seen import Attempt
from bullpen_protocol.assignment import Assignment

ATTEMPT = Attempt("local/http", "bull", "http", "17", "http-ingest", "bullpen/local/uuid")


def told(**job_type: Any) -> Assignment:
    environment = RunnerEnvironment(Connections("redis://r"), environ={})
    kind = JobType.model_validate({"name": "http-ingest", **job_type})
    return Assignment.from_environment(environment(ATTEMPT, kind, "uid", Path("/nowhere")))


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, (None, None)),
        ({"memory": "512Mi", "cpu": "500m"}, (512 << 20, 500)),
        ({"memory": "1.5G", "cpu": "2"}, (1_500_000_000, 2000)),
        ({"cpu": "0.0001"}, (None, 1)),
    ],
)
def test_limits_are_told_as_a_pod_hears_them(limits: dict[str, str], expected: tuple[int | None, int | None]) -> None:
    assignment = told(resources={"limits": limits})
    assert (assignment.memory_limit_bytes, assignment.cpu_limit_millicores) == expected


def test_no_image_is_told_where_none_runs() -> None:
    assert told(image="registry/x:1").image is None
