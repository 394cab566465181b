"""`bullpen local` with a log server: one entry per settled attempt, and those of the runners beside them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from bullpen_protocol.bullmq import SyncQueue
from servers.local import BullpenLocal
from servers.logs import LogServer
from support import require

MANIFEST: Final = """\
apiVersion: bullpen.dev/v1alpha1
kind: JobQueue
metadata: {name: q}
spec:
  queue: q
  logNamespace: worker:q
  redis: {secretRef: {name: redis}}
  concurrency: 1
  unknownJobs: fail
  jobTypes:
    - {name: played, timeout: 60s}
    - {name: quiet, processor: played, timeout: 60s, env: [{name: LOGS_WS_URL, value: ""}]}
"""


def add(queue: SyncQueue, name: str, *steps: list[Any], **opts: Any) -> None:
    queue.add(name, json.dumps({"steps": steps}), opts)


@pytest.fixture
def logs() -> Iterator[LogServer]:
    with LogServer() as server:
        yield server


@pytest.fixture
def local(tmp_path: Path, logs: LogServer) -> Iterator[BullpenLocal]:
    require("redis-server")
    local = BullpenLocal(tmp_path, MANIFEST, environment={"LOGS_WS_URL": logs.url})
    yield local
    local.close()


def test_every_attempt_is_one_entry_of_the_operator_beside_those_of_its_runner(
    local: BullpenLocal, logs: LogServer
) -> None:
    go = local.folder / "go"
    local.start()
    with local.client() as client:
        queue = SyncQueue(client, queue="q", prefix="bull")
        add(queue, "played", ["wait_for", str(go)], ["value", 1])
        logs.wait(lambda: "started" in logs.texts(ns="runner"), "the runner's first line")
        go.touch()
        add(queue, "played", ["fail", "the sky fell"], attempts=2)
        add(queue, "nobody")
        add(queue, "quiet", ["print", "nothing of this is forwarded"], ["value", 1])
        logs.wait(lambda: len(logs.texts(ns="worker:q")) == 5, "the entries of all attempts")
    assert local.interrupt() == 0
    entries = [(entry["level"], entry["msg"]) for entry in logs.entries if entry["ns"] == "worker:q"]
    assert sorted(entries) == [
        ("info", "played 1, attempt 1: completed"),
        ("info", "quiet 4, attempt 1: completed"),
        ("warn", "nobody 3, attempt 1: unrecoverable: Unknown job: nobody"),
        ("warn", "played 2, attempt 1: failed: the sky fell"),
        ("warn", "played 2, attempt 2: failed: the sky fell"),
    ]
    runners = [(entry["msg"][1]["job_id"], entry["msg"][0]) for entry in logs.entries if entry["ns"] != "worker:q"]
    assert [text for job_id, text in runners if job_id == "1"] == ["started", "completed"]
    assert "4" not in {job_id for job_id, _ in runners}, "it asked for nothing"


def test_a_log_server_that_is_none_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    path = tmp_path / "jobqueue.yaml"
    path.write_text(MANIFEST)
    done = subprocess.run(
        [sys.executable, "-m", "bullpen_cli", "local", "-f", str(path), "--state", str(tmp_path / "state")],
        capture_output=True,
        text=True,
        check=False,
        env={"LOGS_WS_URL": "http://user:hunter2@h/logs"},
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == (
        "bullpen local: LOGS_WS_URL holds a user or password; log servers are asked without: leave it out"
    )
    assert not (tmp_path / "state").exists()
