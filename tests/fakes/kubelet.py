"""Job controller and kubelet for FakeApiServer: a KubeJob gets one pod, a pod runs until it is told to end."""

from __future__ import annotations

import asyncio
import copy
import uuid
from typing import Any

from bullpen_operator.kube import batch, core
from fakes.api_server import FakeApiServer

NAMESPACE = "ns"
JOBS, PODS = batch(NAMESPACE), core(NAMESPACE, "pods")
CREATED = "2026-11-23T10:00:00Z"
Json = dict[str, Any]


class FakeKubelet:
    """Turns every KubeJob of the server into a running pod, once, and ends it as Kubernetes would."""

    def __init__(self, server: FakeApiServer) -> None:
        self._server = server
        self._seen: set[str] = set()
        server.delete_job = self.delete
        server.delete_pod = self.delete_pod

    async def run(self) -> None:
        """Look for new KubeJobs and bare pods; a fake has no need to watch."""
        while True:
            for name, pod in list(self._server.objects[PODS].items()):
                if "status" not in pod:
                    await self._server.put(PODS, _running(pod | {"metadata": pod["metadata"] | _made()}, name))
            for name, kube_job in list(self._server.objects[JOBS].items()):
                if name not in self._seen:
                    self._seen.add(name)
                    await self._server.put(PODS, _running_pod(kube_job))
            await asyncio.sleep(0.005)

    async def end(self, name: str, code: int) -> None:
        """Have the main container of a KubeJob's pod end with this code."""
        pod = copy.deepcopy(self._server.objects[PODS][self._pod_of(name)])
        reason = "Completed" if code == 0 else "Error"
        pod["status"] = {
            "phase": "Succeeded" if code == 0 else "Failed",
            "containerStatuses": [
                {"name": "runner", "ready": False, "state": {"terminated": {"exitCode": code, "reason": reason}}}
            ],
        }
        await self._server.put(PODS, pod)

    async def write(self, name: str, text: str) -> None:
        """Have the main container of a KubeJob's pod have written this."""
        self._server.logs[self._pod_of(name)] = text

    def _pod_of(self, name: str) -> str:
        return name if name in self._server.objects[PODS] else f"{name}-x"

    async def delete_pod(self, name: str) -> None:
        """Delete a pod: it says so, ends and goes."""
        pod = copy.deepcopy(self._server.objects[PODS][name])
        pod["metadata"]["deletionTimestamp"] = CREATED
        await self._server.put(PODS, pod)
        await self.end(name, 143)
        await self._server.remove(PODS, name)

    async def delete(self, name: str) -> None:
        """Delete in the foreground: the KubeJob says so, its pod ends and goes, then the KubeJob goes."""
        kube_job = copy.deepcopy(self._server.objects[JOBS][name])
        kube_job["metadata"]["deletionTimestamp"] = CREATED
        await self._server.put(JOBS, kube_job)
        if f"{name}-x" in self._server.objects[PODS]:
            await self.end(name, 143)
            await self._server.remove(PODS, f"{name}-x")
        await self._server.remove(JOBS, name)


def _running_pod(kube_job: Json) -> Json:
    name, template = kube_job["metadata"]["name"], kube_job["spec"]["template"]
    metadata = {
        "labels": {**template["metadata"]["labels"], "batch.kubernetes.io/job-name": name},
        "annotations": template["metadata"]["annotations"],
        "ownerReferences": [{"kind": "Job", "name": name}],
    }
    return _running({"metadata": metadata | _made(), "spec": template["spec"]}, f"{name}-x")


def _made() -> Json:
    return {"uid": str(uuid.uuid4()), "creationTimestamp": CREATED}


def _running(pod: Json, name: str) -> Json:
    return {
        "metadata": pod["metadata"] | {"name": name},
        "spec": {**pod["spec"], "nodeName": "node-1"},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "runner", "ready": True, "state": {"running": {"startedAt": CREATED}}}],
        },
    }
