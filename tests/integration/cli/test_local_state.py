"""The commands beside a running `bullpen local`: they find its Redis, its attempts' folders, and end what runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from bullpen_operator.local.folder import AttemptFolder
from servers.command import Bullpen
from servers.local import BullpenLocal
from support import require

MANIFEST: Final = """\
apiVersion: bullpen.dev/v1alpha1
kind: JobQueue
metadata: {name: q}
spec:
  queue: q
  redis: {secretRef: {name: redis}}
  concurrency: 2
  unknownJobs: fail
  lockDuration: 10s
  jobTypes:
    - {name: played, timeout: 90s}
"""
SLEEP: Final = '{"steps": [["log", "é\\u001b[2J"], ["sleep", 80]]}'


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BullpenLocal]:
    require("redis-server")
    local = BullpenLocal(tmp_path_factory.mktemp("local"), MANIFEST)
    local.start()
    local.client().close()
    yield local
    local.close()


@pytest.fixture
def bullpen(tmp_path: Path, local: BullpenLocal) -> Bullpen:
    """It is told of the state folder and of nothing else."""
    return Bullpen(tmp_path, {"BULLPEN_STATE": str(local.state)})


def events(local: BullpenLocal, job_id: str) -> list[str]:
    with local.client() as client:
        listed: Any = client.xrange("bull:q:events")
        return [event["event"] for _, event in listed if event.get("jobId") == job_id and event["event"] != "progress"]


def test_a_job_is_added_and_followed_to_its_value(bullpen: Bullpen) -> None:
    said = bullpen("add", "q", "played", '{"steps": [["progress", 50], ["value", {"é": "😀"}]]}', "--wait")
    assert (said.code, json.loads(said.out)) == (0, {"é": "😀"})
    assert "progress: 50" in said.err.splitlines()


def test_a_running_job_is_cancelled_with_no_more_attempts_and_one_end(bullpen: Bullpen, local: BullpenLocal) -> None:
    following = bullpen.start("add", "q", "played", SLEEP, "--attempts", "3", "--job-id", "long", "--wait")
    while bullpen("job", "q", "long").code or "has been running for" not in bullpen("job", "q", "long").out:
        assert following.poll() is None
    told = bullpen("job", "q", "long", "--json").json
    folder = AttemptFolder(Path(told["where"]))
    assert (folder.name, folder.pod_uid, folder.path.parent.name) == (told["attemptName"], told["podUid"], "attempts")

    said = bullpen("cancel", "q", "long", "--timeout", "100")

    assert (said.code, said.out) == (0, "job long: cancelled\n")
    _, err = following.communicate(timeout=60)
    assert (following.returncode, err.splitlines()[-1]) == (1, "bullpen add: it failed: cancelled")
    assert events(local, "long") == ["added", "waiting", "active", "failed"]
    assert (
        bullpen("job", "q", "long")
        .out.splitlines()[0]
        .endswith(", after 1 of 3 attempts (retrying would not have helped): cancelled.")
    )


def test_a_waiting_job_is_cancelled_without_running(bullpen: Bullpen, local: BullpenLocal) -> None:
    bullpen("add", "q", "played", SLEEP, "--delay", "10m", "--attempts", "2", "--job-id", "later")
    said = bullpen("cancel", "q", "later", "--timeout", "60")
    assert (said.code, said.out) == (0, "job later: cancelled\n")
    assert events(local, "later") == ["added", "delayed", "waiting", "active", "failed"]
    assert bullpen("job", "q", "later", "--json").json["podUid"] is None


def test_a_failed_job_is_retried_and_runs_again(bullpen: Bullpen, local: BullpenLocal) -> None:
    failing = bullpen("add", "q", "played", '{"steps": [["broke"]]}', "--wait", "--json")
    job_id = json.loads(failing.out)["id"]
    assert failing.code == 1
    ended = bullpen("job", "q", job_id, "--json").json
    assert "broke" in ended["why"]
    assert bullpen("retry", "q", job_id).out == f"1 job waits again: {job_id}\n"
    while events(local, job_id).count("failed") < 2:
        pass
    again = bullpen("job", "q", job_id, "--json").json
    assert again["attemptName"] != ended["attemptName"]
