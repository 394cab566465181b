"""`make demo`: real work and unruly work through `bullpen local`, then what became of each job and what was found.

Everything is embedded and local: a Redis, a triplestore, one process for each attempt. Nothing is left behind.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import demo_report
from bullpen_operator.local.redis import start_redis
from bullpen_operator.local.store import start_store
from bullpen_protocol.bullmq import SyncQueue, connect
from demo_plan import Ended, Planned, plan

ROOT: Final = Path(__file__).resolve().parent.parent
MANIFESTS: Final = sorted((ROOT / "examples" / "demo").glob("*.yaml"))
PATIENCE_S: Final = 120.0


class Demo:
    """One run: where it lives, and its queues."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._open()
        self._added: list[tuple[Planned, str]] = []

    def _open(self) -> None:
        # `bullpen local` finds both running in its state folder, uses them as its own, and ends them with itself
        self._redis = start_redis(self._state / "redis")
        self._store = start_store(self._state / "store")
        self._client = connect(self._redis.url)

    def _queue(self, job: Planned) -> SyncQueue:
        return SyncQueue(self._client, queue=job.queue)

    @property
    def graph_url(self) -> str:
        """Where the embedded store answers SPARQL."""
        return self._store.url

    def add(self, jobs: Sequence[Planned]) -> None:
        """Add jobs as any BullMQ producer would."""
        for job in jobs:
            self._added.append((job, self._queue(job).add(job.name, json.dumps(job.data), dict(job.opts))))

    def serve(self) -> None:
        """Run `bullpen local` until all jobs are over: its table on a terminal, its lines made readable elsewhere."""
        files = [option for path in MANIFESTS for option in ("-f", os.path.relpath(path))]
        command = [
            sys.executable,
            "-m",
            "bullpen_cli",
            "local",
            *files,
            "--state",
            str(self._state),
            "--exit-when-idle",
        ]
        on_terminal = sys.stdout.isatty()
        operator = subprocess.Popen(command, stdout=None if on_terminal else subprocess.PIPE, text=True)
        patience = threading.Timer(PATIENCE_S, operator.terminate)  # gives running jobs back
        patience.start()
        try:
            for line in operator.stdout or ():
                demo_report.transition(line)
        finally:
            operator.wait()  # Ctrl-C reaches it as it reaches us
            patience.cancel()
        self._open()

    def ended(self) -> list[Ended]:
        """Read every job back."""
        return [
            Ended(planned, job, self._queue(planned).state(job_id))
            for planned, job_id in self._added
            if (job := self._queue(planned).load(job_id)) is not None
        ]

    def close(self) -> None:
        """End the servers."""
        self._client.close()
        self._store.stop()
        self._redis.stop()


@contextmanager
def fresh_demo() -> Iterator[Demo]:
    """Give a demo in a folder of its own, and leave nothing behind."""
    state = Path(tempfile.mkdtemp(prefix="bullpen-demo-"))
    try:
        demo = Demo(state)
        try:
            yield demo
        finally:
            demo.close()
    finally:
        shutil.rmtree(state, ignore_errors=True)


def main() -> int:
    """Run the demo; 1 when something did not come out as it should."""
    began = time.monotonic()
    jobs = list(plan())
    demo_report.opening(jobs)
    with fresh_demo() as demo:
        demo.add(jobs)
        demo.serve()
        ended = demo.ended()
        demo_report.outcomes(ended)
        demo_report.answers(demo.graph_url)
    return demo_report.closing(ended, time.monotonic() - began)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
