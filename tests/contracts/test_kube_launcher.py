"""The cluster's launcher keeps the contract, over an API server with a job controller and a kubelet of our own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from kubernetes.aio.client import ApiClient, Configuration

from bullpen_operator.kube import KubeApi
from bullpen_operator.kube_launcher import KubeLauncher, Nodes
from bullpen_operator.manifest import Placement
from bullpen_operator.model import JobType
from bullpen_operator.namespace_mirror import NamespaceMirror
from contracts.launcher_contract import LauncherContract, Rig
from fakes.api_server import FakeApiServer, until
from fakes.kubelet import NAMESPACE, FakeKubelet


class TestKubeLauncher(LauncherContract):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[Rig]:
        server = FakeApiServer()
        api = KubeApi(ApiClient(Configuration(host=await server.start())), timeout_s=5)
        mirror, kubelet = NamespaceMirror(api, NAMESPACE), FakeKubelet(server)
        placement = Placement(NAMESPACE, "q", "i", "redis", default_image="runner:1")
        loops = [asyncio.create_task(mirror.run()), asyncio.create_task(kubelet.run())]
        await until(lambda: len(server.asked("GET", watch=True)) == 2)
        yield Rig(KubeLauncher(api, mirror, Nodes(api), placement), kubelet.end, kubelet.write)
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        await api.close()
        await server.stop()


class TestKubeLauncherOfBarePods(TestKubeLauncher):
    job_type = JobType.model_validate({"name": "resize", "workload": "Pod"})
