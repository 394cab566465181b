"""`bullpen local` as a test starts, kills and starts it again: a process, a state folder, a port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import redis

from bullpen_operator.local import processes
from bullpen_operator.local.redis import start_redis
from bullpen_operator.local.store import start_store
from servers.graph import GraphServer
from servers.redis import free_port
from support import ROOT

PROCESSORS: Final = ROOT / "tests" / "fakes" / "processors"
PATIENCE_S: Final = 120.0


class BullpenLocal:
    """One installation; the operator in it may be started and killed any number of times."""

    def __init__(
        self, folder: Path, manifest: str, *options: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.port = free_port()
        self.manifest = folder / "jobqueue.yaml"
        self.manifest.write_text(manifest)
        self.options = ["--redis-port", str(self.port), *options]
        self.environment = {**os.environ, "PYTHONPATH": str(PROCESSORS), **(environment or {})}
        self.process: subprocess.Popen[bytes] | None = None
        self._said_before = 0

    @property
    def url(self) -> str:
        """Of the embedded Redis."""
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start an operator; it is not waited for."""
        command = [sys.executable, "-m", "bullpen_cli", "local", "-f", str(self.manifest), "--state", str(self.state)]
        with (self.folder / "out.jsonl").open("ab") as out, (self.folder / "err.txt").open("ab") as err:
            self._said_before = out.tell()
            self.process = subprocess.Popen(
                [*command, *self.options], stdout=out, stderr=err, env=self.environment, start_new_session=True
            )

    def await_serving(self) -> None:
        """Wait until the operator that was started last serves: from then on an interrupt drains it."""
        until = time.monotonic() + PATIENCE_S
        while b'"serving"' not in (self.folder / "out.jsonl").read_bytes()[self._said_before :]:
            assert self.process is not None
            assert self.process.poll() is None, self.errors()
            assert time.monotonic() < until, self.errors()
            time.sleep(0.02)

    def kill(self) -> None:
        """As a power cut of the operator alone."""
        self.send(signal.SIGKILL)
        self.wait()

    def interrupt(self) -> int:
        """Ctrl-C, waited for; returns the exit code."""
        self.send(signal.SIGINT)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end."""
        assert self.process is not None
        return self.process.wait(PATIENCE_S)

    def send(self, number: signal.Signals) -> None:
        """Signal the operator alone."""
        assert self.process is not None
        self.process.send_signal(number)

    def memory(self) -> int:
        """Bytes of memory that the operator has in use."""
        assert self.process is not None
        return int(processes.read(f"/proc/{self.process.pid}/statm").split()[1]) * processes.PAGE

    def graph(self) -> GraphServer:
        """Name the embedded store."""
        return GraphServer("embedded", json.loads((self.state / "store" / "store.json").read_text())["url"])

    def client(self) -> redis.Redis:
        """Connect to the embedded Redis; waits until it and the operator serve."""
        client = redis.Redis.from_url(self.url, decode_responses=True)
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                client.ping()
            except redis.ConnectionError:
                assert self.process is not None
                assert self.process.poll() is None, self.errors()
                assert time.monotonic() < until, self.errors()
                time.sleep(0.02)
            else:
                return client

    def lines(self) -> Sequence[dict[str, Any]]:
        """What it logged."""
        return [json.loads(line) for line in (self.folder / "out.jsonl").read_text().splitlines()]

    def errors(self) -> str:
        """What it said on stderr."""
        return (self.folder / "err.txt").read_text()

    def attempts(self) -> list[Path]:
        """Folders of attempts that are not over and recorded."""
        return sorted(self.state.glob("jobqueues/*/attempts/bp-*"))

    def close(self) -> None:
        """End all that belongs to the installation, and prove that no process is left."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        if (self.state / "redis").exists():
            start_redis(self.state / "redis", port=self.port).stop()
        if (self.state / "store").exists():
            start_store(self.state / "store").stop()
        assert processes.end_all(self._left)

    def _left(self) -> list[int]:
        """Processes whose environment names this installation's folder, zombies and ourselves left out."""
        mark = str(self.state).encode()
        return [
            pid
            for pid in processes.every_pid()
            if pid != os.getpid() and not processes.is_zombie(pid) and mark in processes.read(f"/proc/{pid}/environ")
        ]
