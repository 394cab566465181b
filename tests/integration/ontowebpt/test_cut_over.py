"""From OntoWeb-PT's own worker to Bullpen: what becomes of a job that the worker had when it was stopped."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from bullpen_operator.engine import EngineSettings
from bullpen_operator.local.host import HostSettings, LocalHost
from bullpen_operator.local.manifest_files import load
from bullpen_protocol.bullmq import SyncQueue
from fakes.attempts import eventually
from servers.graph import GraphServer, embedded
from servers.ontowebpt import server_folder
from servers.redis import RedisServer
from support import ROOT, require

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("ontowebpt")]

QUEUE: Final = "http-requests-writes"
ITEM: Final = {"id": "r1", "method": "GET", "uri": {"full": "http://shop.example/"}}
PRODUCERS: Final = re.compile(r"JOB_[A-Z_]+|SOCKETS_CORS_ORIGIN|PYTHON_BIN")


def test_the_page_knows_every_variable_that_the_worker_reads() -> None:
    sources = [path for path in (server_folder() / "src").rglob("*.js") if "dashboard" not in path.parts]
    read = {name for path in sources for name in re.findall(r"process\.env\.([A-Z_]+)", path.read_text())}
    page = (ROOT / "docs" / "ontowebpt.md").read_text()
    assert "REDIS_HOST" in read
    assert sorted(name for name in read if not PRODUCERS.fullmatch(name) and f"`{name}`" not in page) == []


async def test_a_job_that_the_stopped_worker_had_is_done_without_spending_an_attempt(tmp_path: Path) -> None:
    worker = server_folder() / "src" / "worker.js"
    (tmp_path / "graph").mkdir()
    with (
        RedisServer() as server,
        embedded(tmp_path / "graph") as graph,
        redis.Redis.from_url(server.url, decode_responses=True) as client,
    ):
        queue = SyncQueue(client, queue=QUEUE, prefix="bull")
        job_id = queue.add("http-ingest", json.dumps({"payload": [ITEM]}), {"attempts": 5})
        await asyncio.to_thread(leave_active, worker, tmp_path, server, queue, job_id)
        async with LocalHost(settings(tmp_path, server, graph)) as host:
            engine = asyncio.create_task(host.engine.run())
            await asyncio.to_thread(eventually, lambda: queue.state(job_id) == "completed", "the completion", 120)
            await host.engine.stop(drain=True)
            await engine
        job = queue.load(job_id)
        assert job is not None
        assert (job.atm, json.loads(job.returnvalue or "")["status"]) == (1, 204)
        assert events(client, job_id) == ["waiting", "active", "waiting", "stalled", "active", "completed"]
        assert graph.rows("SELECT ?s { GRAPH ?g { ?s a <http://localhost/onto/ontowebpt#Request> } }") == [
            {"s": "urn:req:r1"}
        ]


def leave_active(worker: Path, folder: Path, server: RedisServer, queue: SyncQueue, job_id: str) -> None:
    """Let their worker take the job, whose store never answers, and stop it as `docker compose stop` does."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        told = {
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(server.port),
            "GRAPHDB_BASE": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "GRAPHDB_REPO": "none",
            "LOGS_WS_URL": "http://127.0.0.1:1/logs",
            "PATH": os.environ["PATH"],
        }
        with (folder / "worker.log").open("wb") as log:
            process = subprocess.Popen(
                [require("node"), str(worker)], cwd=folder, env=told, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            eventually(lambda: queue.state(job_id) == "active", "their claim")
        finally:
            process.terminate()
            process.wait(30)


def settings(folder: Path, server: RedisServer, graph: GraphServer) -> HostSettings:
    """As `bullpen local`, with an audit that does not let the test wait for a minute."""
    return HostSettings(
        jobqueues=load([ROOT / "manifests" / "jobqueue-http.yaml"], os.environ).jobqueues,
        state=folder / "state",
        redis_url=server.url,
        graph_url=graph.query_url,
        engine=EngineSettings(audit_interval_s=1, stalled_interval_ms=1_000),
    )


def events(client: redis.Redis, job_id: str) -> list[str]:
    listed: Any = client.xrange(f"bull:{QUEUE}:events")
    return [event["event"] for _, event in listed if event.get("jobId") == job_id and event["event"] != "added"]
