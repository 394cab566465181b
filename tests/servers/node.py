"""Real BullMQ clients: one Node process a version serves all tests of a pytest process."""

from __future__ import annotations

import fcntl
import itertools
import json
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from support import ROOT, require, require_found

FOLDER: Final = ROOT / "tests" / "node"
VERSIONS: Final = ("5.7.0", "5.81.5", "6")
"""Aliases in tests/node/package.json: the oldest served, the dialect of our Lua, and the newest."""


class NodeError(Exception):
    """The client threw; the message is its own."""


class NodeProcess:
    """A script of tests/node that answers requests, a JSON object a line. Thread-safe: a call gets its own answer."""

    def __init__(self, script: str, *arguments: str) -> None:
        self.name = " ".join((script, *arguments))
        self._ids = itertools.count(1)
        self._answers: dict[int, dict[str, Any]] = {}
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            [require("node"), str(FOLDER / script), *arguments],
            cwd=installed(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        threading.Thread(target=self._read, daemon=True).start()

    def call(self, request: dict[str, Any], timeout_s: float = 60) -> Any:
        """Send a request and wait for its answer."""
        return self.wait(self.send(request), timeout_s)

    def send(self, request: dict[str, Any]) -> int:
        """Send a request without waiting; wait() takes what this returns."""
        number = next(self._ids)
        assert self._process.stdin is not None
        with self._changed:
            self._process.stdin.write(json.dumps({"id": number, **request}) + "\n")
            self._process.stdin.flush()
        return number

    def wait(self, number: int, timeout_s: float = 60) -> Any:
        """Wait for the answer to a request."""
        with self._changed:
            if not self._changed.wait_for(lambda: number in self._answers, timeout_s):
                raise NodeError(f"no answer from {self.name} within {timeout_s} s")
            answer = self._answers.pop(number)
        if "error" in answer:
            raise NodeError(answer["error"])
        return answer.get("value")

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            with self._changed:
                self._answers[answer["id"]] = answer
                self._changed.notify_all()


class NodeClient(NodeProcess):
    """One version of BullMQ."""

    def __init__(self, version: str) -> None:
        super().__init__("driver.js", version)
        self.version = version

    def queue(self, url: str, name: str, prefix: str = "bull", **connection: Any) -> NodeQueue:
        """A queue on the server at *url* (redis://)."""
        return NodeQueue(self, _at(url, name, prefix, connection))

    def driver(self, method: str, *args: Any, timeout_s: float = 60) -> Any:
        """Call a method of the driver itself."""
        return self.call({"on": "driver", "method": method, "args": args}, timeout_s)

    def forget(self, url: str) -> None:
        """Close everything that is connected to the server at *url*; before it is stopped."""
        self.driver("forget", {"at": _at(url, "", "", {})})


@dataclass(frozen=True)
class NodeQueue:
    """One queue as a Node client sees it."""

    client: NodeClient
    at: dict[str, Any] = field(repr=False)

    def call(self, method: str, *args: Any) -> Any:
        """Call a method of its Queue."""
        return self.client.call({"on": "queue", "at": self.at, "method": method, "args": args})

    def add(self, name: str, data: Any, opts: dict[str, Any] | None = None) -> str:
        """Add a job and return its id."""
        return str(self.call("add", name, data, opts or {})["id"])

    def job(self, job_id: str, method: str, *args: Any) -> Any:
        """Call a method of one of its jobs."""
        return self.client.call({"on": "job", "at": self.at, "job": job_id, "method": method, "args": args})

    def state(self, job_id: str) -> str:
        """Say where a job is."""
        return str(self.job(job_id, "getState"))

    def counts(self, *states: str) -> dict[str, int]:
        """Count jobs by state."""
        counts: dict[str, int] = self.call("getJobCounts", *states)
        return counts

    def flow(self, tree: dict[str, Any]) -> Any:
        """Add a parent with its children."""
        return self.client.call({"on": "flow", "at": self.at, "method": "add", "args": [tree]})

    def work(self, **options: Any) -> None:
        """Run a Worker until every job has come to its end."""
        self.client.driver("work", {"at": self.at, "options": options})

    def watch(self, ids: list[str]) -> None:
        """Start waitUntilFinished for jobs; ended() tells how they ended."""
        self.client.driver("watch", {"at": self.at, "ids": ids})

    def listen(self) -> None:
        """Start keeping when jobs are seen to complete; heard() tells."""
        self.client.driver("listen", {"at": self.at})

    def heard(self) -> dict[str, dict[str, Any]]:
        """When each job was seen to complete (`at`, ms of this host's clock), and its parsed `returnvalue`, by id."""
        seen: dict[str, dict[str, Any]] = self.client.driver("heard")
        return seen

    def ended(self, ids: list[str]) -> dict[str, Any]:
        """Wait for the jobs given to watch(): {"value": ...} or {"error": ...} by id."""
        results: dict[str, Any] = self.client.driver("ended", {"ids": ids})
        return results


def installed(folder: Path = FOLDER) -> Path:
    """Bring node_modules in line with the lock file, once on a machine; returns the folder of both."""
    lock = folder / "package-lock.json"
    stamp = folder / "node_modules" / ".in-line-with"
    with (folder / ".lock").open("w") as guard:  # the processes of xdist start together
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_bytes() != lock.read_bytes():
            command = [require("npm"), "ci", "--ignore-scripts", "--no-progress"]
            done = subprocess.run(command, cwd=folder, check=False, capture_output=True, timeout=600)
            why = f"npm ci needs an npm registry once: {done.stderr.decode(errors='replace')[-200:]}"
            name = f"npm packages of {folder.relative_to(ROOT)}"
            require_found(name, folder if done.returncode == 0 else None, why)
            stamp.write_bytes(lock.read_bytes())
    return folder


def _at(url: str, queue: str, prefix: str, connection: dict[str, Any]) -> dict[str, Any]:
    parts = urlsplit(url)
    return {"host": parts.hostname, "port": parts.port, "queue": queue, "prefix": prefix, "connection": connection}
