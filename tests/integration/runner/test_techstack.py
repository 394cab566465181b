"""`techstack-analyze` by real runners: what passes between a job, its supervisor, Redis and NVD."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from bullpen_protocol.assignment import ExitCode
from fakes.attempts import Runner, Stage
from fakes.graph import FakeGraph
from fakes.nvd import FakeNvd, Trouble, cpe, record

NGINX: Final = record("CVE-2021-23017", "", cpe("f5", "nginx", versionEndExcluding="1.20.1"))
PAYLOAD: Final = json.dumps({"technologies": [{"name": "nginx", "version": "1.18.0"}]})


@pytest.fixture
def nvd() -> Any:
    with FakeNvd([NGINX]).served() as nvd:
        yield nvd


def start(stage: Stage, nvd: FakeNvd, **environment: str) -> Runner:
    stage.queue.add("techstack-analyze", PAYLOAD, None)
    more: dict[str, Any] = {"processor": "techstack-analyze", "settings": {"nvdUrl": nvd.url}}
    return stage.start(*stage.claim(), environment=environment, **more)


def result(stage: Stage, job_id: str) -> Any:
    return json.loads(stage.job(job_id).returnvalue or "null")["result"]


def test_jobs_share_what_one_of_them_found_out(stage: Stage, graph: FakeGraph, nvd: FakeNvd) -> None:
    runners = [start(stage, nvd) for _ in range(3)]
    assert [runner.wait() for runner in runners] == [ExitCode.COMPLETED] * 3
    assert len(nvd.arrivals) == 1
    assert [result(stage, job_id)["summary"]["totalFindings"] for job_id in ("1", "2", "3")] == [1, 1, 1]


def test_the_key_reaches_nvd_and_nothing_else(stage: Stage, graph: FakeGraph, nvd: FakeNvd) -> None:
    runner = start(stage, nvd, NVD_API_KEY="the-key")
    assert runner.wait() == ExitCode.COMPLETED
    assert [with_key for _, with_key in nvd.arrivals] == [True]
    kept = [str(stage.client.dump(key)) for key in stage.client.scan_iter("bull:*")]
    assert "the-key" not in runner.output() + "".join(kept) + str(stage.job("1"))


def test_a_job_completes_with_what_it_knows_when_nvd_is_down(stage: Stage, graph: FakeGraph) -> None:
    with FakeNvd([], troubles=[Trouble(404)]).served() as nvd:
        runner = start(stage, nvd)
        assert runner.wait() == ExitCode.COMPLETED
    assert result(stage, "1")["lookups"] == "failed"
    assert "look-up of cpe:2.3:a:f5:nginx:*:*:*:*:*:*:*:* failed: NVD answered 404" in stage.log_of("1")


def test_a_runner_that_asks_nothing_imports_no_http_and_no_commons(stage: Stage) -> None:
    runner = stage.play(["modules", ["bullpen_runner.web", "bullpen_runner.shared", "http.client", "publicsuffixlist"]])
    assert json.loads(stage.job("1").returnvalue or "") == []
    assert runner.wait() == ExitCode.COMPLETED
