"""A plain pod without Kubernetes: its two injected containers as processes, its emptyDir a folder."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

from bullpen_protocol.assignment import Assignment
from bullpen_protocol.bullmq import Job
from fakes.attempts import Runner, Stage


class PlainPod:
    """One pod of an attempt."""

    def __init__(self, stage: Stage, job: Job, token: str, **more: Any) -> None:
        self.uid = str(uuid.uuid4())
        self.fence = f"{token}#{self.uid}"
        self.files = stage.folder / self.uid / "bullpen"
        self.files.mkdir(parents=True)
        self._stage = stage
        told: dict[str, Any] = {
            "redis_url": stage.url,
            "prefix": "bull",
            "queue": stage.name,
            "job_id": job.id,
            "token": token,
            "pod_uid": self.uid,
            "processor": "plain",
            "lock_ms": 30_000,
            "timeout_s": 60.0,
        }
        self._told = told | more

    def fetch(self) -> Runner:
        """Start its init container."""
        return self._start("fetch")

    def watch(self) -> Runner:
        """Start its sidecar."""
        return self._start("watch")

    def path(self, name: str) -> Path:
        """Where a file of the job's is."""
        return self.files / name

    def _start(self, does: str) -> Runner:
        folder = self._stage.folder / self.uid / f"{does}-{len(self._stage.runners)}"
        folder.mkdir()
        assignment = Assignment(**{"termination_log": str(folder / "termination-log")} | self._told)
        own = {"PATH": os.defpath, "BULLPEN_FOLDER": str(self.files)}
        runner = Runner(own | assignment.to_environment(), folder, module=("bullpen_runner.plain", does))
        self._stage.runners.append(runner)
        return runner
