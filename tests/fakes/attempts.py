"""Real runners on a real Redis: a queue of its own per test, jobs claimed as an operator claims them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import redis

from bullpen_protocol.assignment import Assignment, TerminationMessage
from bullpen_protocol.bullmq import Claimed, Job, SyncQueue, connect
from fakes.graph import FakeGraph
from support import ROOT

PATIENCE_S: Final = 60.0
PROCESSORS: Final = ROOT / "tests" / "fakes" / "processors"


def eventually(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """Return the first true value of *condition*; fails by name when it does not come."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.005)
    raise AssertionError(f"{what} did not happen within {patience_s:g} s")


def is_running(pid: int) -> bool:
    """A process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Runner:
    """One `python -m bullpen_runner`, or another module of it."""

    def __init__(
        self,
        environment: Mapping[str, str],
        folder: Path,
        prefix: Sequence[str] = (),
        module: Sequence[str] = ("bullpen_runner",),
    ) -> None:
        self._output = folder / "output.log"
        self._message = Path(environment["BULLPEN_TERMINATION_LOG"])
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, "-m", *module],
                env=dict(environment),
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    @property
    def pid(self) -> int:
        """Of the supervisor."""
        return self.process.pid

    def send(self, number: signal.Signals) -> None:
        """Signal the supervisor."""
        self.process.send_signal(number)

    def stop(self) -> None:
        """SIGSTOP, and wait until it is stopped."""
        self.send(signal.SIGSTOP)
        eventually(lambda: self._state() == "T", "the stop")

    def _state(self) -> str:
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def wait(self) -> int:
        """Return the exit code."""
        return self.process.wait(PATIENCE_S)

    def message(self) -> TerminationMessage | None:
        """Read its last words."""
        return TerminationMessage.from_text(self._message.read_text()) if self._message.exists() else None

    def output(self) -> str:
        """All that it printed."""
        return self._output.read_text()

    def lines(self, **wanted: Any) -> list[dict[str, Any]]:
        """Return its log lines that have the keys and values of *wanted*."""
        lines = [json.loads(line) for line in self.output().splitlines()]
        return [line for line in lines if all(line.get(key) == value for key, value in wanted.items())]

    def messages(self, **wanted: Any) -> list[str]:
        """Return the texts of those lines."""
        return [line["msg"] for line in self.lines(**wanted)]

    def close(self) -> None:
        """End it if the test did not."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Stage:
    """A queue of its own, and the runners that were started for it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.graph: FakeGraph | None = None
        self.client = cast(redis.Redis, connect(url))
        self.name = f"q{uuid.uuid4().hex[:8]}"
        self.queue = SyncQueue(self.client, queue=self.name, prefix="bull")
        self.runners: list[Runner] = []

    def add(self, *steps: list[Any], data: str | None = None, opts: dict[str, Any] | None = None) -> str:
        """Add a job that plays *steps*."""
        return self.queue.add("play", data if data is not None else json.dumps({"steps": steps}), opts)

    def claim(self, lock_ms: int = 30_000) -> tuple[Job, str]:
        """Claim the next job as an operator does; returns the job and the token."""
        token = f"bullpen/test/{uuid.uuid4()}"
        claimed = self.queue.claim(token, lock_ms, name=token)
        assert isinstance(claimed, Claimed)
        return claimed.job, token

    def start(
        self,
        job: Job,
        token: str,
        *,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        **more: Any,
    ) -> Runner:
        """Start a pod of the attempt; each call is a pod of its own. *prefix* stands before the command."""
        uid = str(uuid.uuid4())
        folder = self.folder / uid
        folder.mkdir()
        told: dict[str, Any] = {
            "redis_url": self.url,
            "prefix": "bull",
            "queue": self.name,
            "job_id": job.id,
            "token": token,
            "pod_uid": uid,
            "processor": "played",
            "lock_ms": 30_000,
            "timeout_s": 60.0,
            "graph_url": self.graph.url if self.graph else None,
            "graph_timeout_s": 20.0,
            "termination_log": str(folder / "termination-log"),
        }
        assignment = Assignment(**(told | more))
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "CI", "TMPDIR") if name in os.environ}
        paths = {"PYTHONPATH": os.pathsep.join([str(PROCESSORS), *filter(None, [os.environ.get("PYTHONPATH")])])}
        runner = Runner(inherited | paths | assignment.to_environment() | dict(environment or {}), folder, prefix)
        self.runners.append(runner)
        return runner

    def play(self, *steps: list[Any], **more: Any) -> Runner:
        """Add, claim, start and wait."""
        self.add(*steps)
        return self.finish(self.start(*self.claim(), **more))

    def finish(self, runner: Runner) -> Runner:
        """Wait for the runner's end."""
        runner.wait()
        return runner

    def job(self, job_id: str) -> Job:
        """Load a job that has to be there."""
        job = self.queue.load(job_id)
        assert job is not None
        return job

    def events(self, job_id: str) -> list[str]:
        """Return the events of a job, in order, without those of its beginning."""
        entries: Any = self.client.xrange(f"bull:{self.name}:events")
        names = [fields["event"] for _, fields in entries if fields.get("jobId") == job_id]
        return [name for name in names if name not in {"added", "waiting"}]

    def log_of(self, job_id: str) -> list[str]:
        """Return the job's log in Redis."""
        lines: Any = self.client.lrange(f"bull:{self.name}:{job_id}:logs", 0, -1)
        return list(lines)

    def touched(self, name: str) -> Path:
        """A path for steps that touch and wait."""
        return self.folder / name

    def close(self) -> None:
        """End what is left."""
        for runner in self.runners:
            runner.close()
        self.client.close()
