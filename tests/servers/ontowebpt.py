"""OntoWeb-PT's own API server, unmodified, out of a clone of its repository; and what a browser would do with it."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

import socketio  # type: ignore[import-untyped]

from support import require, skip_without

VARIABLE: Final = "ONTOWEBPT_REPO"
PART: Final = "OntoWeb-PT's repository"
MEND: Final = f"clone NS-Thesis-Unina/OntoWeb-PT from GitHub, name its folder in {VARIABLE}"
PATIENCE_S: Final = 180.0

_Heard = TypeVar("_Heard")


def server_folder() -> Path:
    """Return the folder of the API server, with its npm packages; the test is skipped where there is no clone."""
    named = os.environ.get(VARIABLE, "")
    folder = Path(named, "engine", "nodejs")
    if not named or not (folder / "src" / "server.js").exists():
        skip_without(PART, MEND)
    with (folder / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "node_modules" / "bullmq").exists():
            options = ["--omit=dev", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run([require("npm"), "install", *options], cwd=folder, check=False, capture_output=True)
            if done.returncode:
                why = done.stderr.decode(errors="replace")[-200:]
                skip_without(f"npm packages of {PART}", f"npm install needs an npm registry once: {why}")
    return folder


@dataclass
class Api:
    """The server, by HTTP."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        """Of all its routes."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def logs_url(self) -> str:
        """As LOGS_WS_URL."""
        return f"{self.url}/logs"

    def get(self, *path: str) -> tuple[int, Any]:
        """Status and JSON of a route; each part of the path is percent-encoded."""
        return self._ask("GET", "/" + "/".join(quote(part, safe="?=&") for part in path))

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        """Status and JSON of the answer to a JSON body."""
        return self._ask("POST", path, json.dumps(body))

    def _ask(self, method: str, path: str, body: str | None = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


@contextmanager
def api_server(folder: Path, port: int, redis_url: str, graph_url: str, log: Path) -> Iterator[Api]:
    """Run it from a folder without its `.env`: what it reads is what is said here, and its own defaults."""
    redis, (base, _, name) = urlsplit(redis_url), graph_url.rpartition("/repositories/")
    told = {
        "REDIS_HOST": redis.hostname or "",
        "REDIS_PORT": str(redis.port),
        "GRAPHDB_BASE": base,
        "GRAPHDB_REPO": name,
        "GRAPHDB_HEALTH_INTERVAL_MS": "500",
        "SERVER_HOST": "127.0.0.1",
        "SERVER_PORT": str(port),
        "LOG_FORMAT": "json",
        "PATH": os.environ["PATH"],
    }
    command = [require("node"), str(folder / "src" / "server.js")]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=log.parent, env=told, stdout=output, stderr=subprocess.STDOUT)
    try:
        api = Api(port, process, log)
        _await_health(api)
        yield api
    finally:
        process.terminate()
        process.wait(30)


def _await_health(api: Api) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            if api.get("health") == (
                200,
                {"ok": True, "components": dict.fromkeys(("server", "graphdb", "redis"), "up")},
            ):
                return
        except (OSError, ValueError):
            pass
        assert api.process.poll() is None, api.log.read_text()
        assert time.monotonic() < deadline, api.log.read_text()
        time.sleep(0.05)


@dataclass
class Browser:
    """What a dashboard hears: events of the rooms of jobs, and entries of the namespace /logs."""

    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def at(self, api: Api, job_ids: list[str]) -> Iterator[Browser]:
        """Connect and enter the rooms of *job_ids*: ids are counted, so those of jobs to come are known."""
        client = socketio.Client(reconnection=False, handle_sigint=False)
        client.on("completed", lambda event: self._heard(self.events, ("completed", event)))
        client.on("failed", lambda event: self._heard(self.events, ("failed", event)))
        client.on("log", lambda entry: self._heard(self.entries, entry), namespace="/logs")
        client.connect(api.url, transports=["websocket"], namespaces=["/", "/logs"], wait_timeout=PATIENCE_S)
        try:
            for job_id in job_ids:
                client.emit("subscribe-job", job_id)
            yield self
        finally:
            client.disconnect()

    def await_event(self, queue: str, job_id: str) -> tuple[str, dict[str, Any]]:
        """Return the first event of a job, and what came with it."""
        about = {"queue": queue, "jobId": job_id}

        def found() -> list[tuple[str, dict[str, Any]]]:
            return [(name, event) for name, event in self.events if about.items() <= event.items()]

        return self._await(found, f"an event of {queue} {job_id}")[0]

    def await_entry(self, ns: str, text: str) -> dict[str, Any]:
        """Return the first log entry with this namespace and text."""

        def found() -> list[dict[str, Any]]:
            return [entry for entry in self.entries if entry["ns"] == ns and text in (entry["msg"], *entry["msg"][:1])]

        return self._await(found, f"{text!r} of {ns}")[0]

    def runner_said(self, queue: str, job_id: str) -> list[str]:
        """Texts of the runner of a job so far."""
        about = {"queue": queue, "job_id": job_id}
        texts = [entry["msg"] for entry in self.entries if entry["ns"] == "runner"]
        return [text for text, more in texts if about.items() <= more.items()]

    def _await(self, found: Callable[[], list[_Heard]], what: str) -> list[_Heard]:
        with self._changed:
            assert self._changed.wait_for(found, PATIENCE_S), f"{what} did not come within {PATIENCE_S:g} s: {self}"
            return found()

    def _heard(self, where: list[Any], what: Any) -> None:
        with self._changed:
            where.append(what)
            self._changed.notify_all()
