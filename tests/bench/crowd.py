"""Memory of an operator with 2,000 live attempts in a namespace that holds 10,000 pods of others.

Everything is real but kubelet and runner: no scheduler takes the pods; their status and their hold are written here.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from bench.dispatch_jobs import UNSCHEDULED
from bullpen_operator.kube import KubeApi, KubeRefusedError, core
from bullpen_protocol.bullmq import AsyncQueue, HoldResult, connect_async
from e2e.cluster import CONTROL_PLANE, JOBS, Cluster, until
from e2e.queues import Queues

ATTEMPTS: Final = 2_000
FOREIGN: Final = 10_000
TOGETHER: Final = 16
LIMIT_MIB: Final = 200
WATCHED_S: Final = 150
"""Two audits and more: they list everything."""
LOCK_MS: Final = 24 * 3600 * 1000
_FOREIGN: Final[dict[str, Any]] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "spec": {
        "schedulerName": "none",
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "main",
                "image": "nobody/pulls-this",
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    },
}


def crowded(cluster: Cluster, queues: Queues) -> tuple[float, float]:
    """Return the operator's memory in MiB: the most that was sampled, and the most that it ever had."""
    asyncio.run(_foreign(cluster))
    queue = queues.serve("crowd", [UNSCHEDULED | {"timeout": "24h"}], concurrency=ATTEMPTS, lockDuration="24h")
    queue.add_bulk([{"name": "bench", "data": {}}] * ATTEMPTS)
    until(f"{ATTEMPTS} pods", 1800, lambda: _held(queues, "pending") == ATTEMPTS and _pods(cluster) == ATTEMPTS)
    asyncio.run(_run(cluster))
    until(f"{ATTEMPTS} attempts run", 300, lambda: _held(queues, "running") == ATTEMPTS)
    deadline, most = time.monotonic() + WATCHED_S, 0.0
    while time.monotonic() < deadline:
        most = max(most, queues.metrics()["process_resident_memory_bytes"] / 2**20)
        time.sleep(1)
    return most, _peak(cluster)


def _held(queues: Queues, state: str) -> float:
    return queues.metrics().get(f'bullpen_slots{{jobqueue="jobs/crowd",state="{state}"}}', 0.0)


def _pods(cluster: Cluster) -> int:
    return len(cluster.kubectl("get", "pods", "-l", "bullpen.dev/queue=crowd", "-o", "name").split())


def _peak(cluster: Cluster) -> float:
    script = "grep -h VmHWM $(pgrep -f '^/opt/bullpen/bin/python -m bullpen_operator' | sed 's|.*|/proc/&/status|')"
    return max(int(line.split()[1]) for line in cluster.on_node(CONTROL_PLANE, script).splitlines()) / 1024


async def _api(cluster: Cluster) -> KubeApi:
    configuration = Configuration()
    place = str(cluster.kubeconfig)
    await config.load_kube_config(config_file=place, client_configuration=configuration)  # type: ignore[no-untyped-call]
    return KubeApi(ApiClient(configuration))


async def _together(work: Callable[[Any], Awaitable[None]], items: Iterable[Any]) -> None:
    left = iter(items)

    async def line() -> None:
        for item in left:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(TOGETHER):
            group.create_task(line())


async def _foreign(cluster: Cluster) -> None:
    """Create the pods of others, which the API server keeps and nobody runs."""
    api = await _api(cluster)

    async def create(number: int) -> None:
        try:
            metadata = {"name": f"foreign-{number}", "labels": {"app": "foreign"}}
            await api.create(core(JOBS, "pods"), _FOREIGN | {"metadata": metadata})
        except KubeRefusedError as error:
            if error.reason != "AlreadyExists":
                raise

    await _together(create, range(FOREIGN))
    await api.close()


async def _run(cluster: Cluster) -> None:
    """Be the kubelet and the runner of every attempt: its pod runs, and holds its job for a day."""
    api, client = await _api(cluster), connect_async(cluster.redis_url)
    queue = AsyncQueue(client, "crowd")

    async def run(pod: dict[str, Any]) -> None:
        metadata = pod["metadata"]
        attempt = json.loads(metadata["annotations"]["bullpen.dev/attempt"])
        fence = f"{attempt['token']}#{metadata['uid']}"
        assert await queue.hold(attempt["job_id"], attempt["token"], fence, LOCK_MS) is HoldResult.HELD
        await api.patch(f"{core(JOBS, 'pods', metadata['name'])}/status", {"status": _running(pod)})

    await _together(run, await api.objects(core(JOBS, "pods"), "bullpen.dev/queue=crowd"))
    await api.close()
    await client.aclose()


def _running(pod: dict[str, Any]) -> dict[str, Any]:
    image = pod["spec"]["containers"][0]["image"]
    state = {"running": {"startedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}}
    told = {"name": "runner", "image": image, "imageID": "", "ready": True, "restartCount": 0, "state": state}
    return {"phase": "Running", "containerStatuses": [told]}
