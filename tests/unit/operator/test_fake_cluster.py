"""The fake that the core is tested on keeps the contract of every launcher."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from contracts.launcher_contract import LauncherContract, Rig
from fakes.cluster import FakeCluster, FakeKubeJob


def end_all(kube_job: FakeKubeJob) -> None:
    for pod in kube_job.pods:
        pod.end(143)


class TestFakeCluster(LauncherContract):
    @pytest.fixture
    def rig(self) -> Rig:
        cluster = FakeCluster(lambda: datetime(2026, 1, 1, tzinfo=UTC))
        cluster.on_delete = end_all

        async def start(name: str) -> None:
            cluster.kube_jobs[name].pods[0].start()

        async def end(name: str, code: int) -> None:
            cluster.kube_jobs[name].pods[0].end(code)
            cluster.tell(cluster.kube_jobs[name])

        async def write(name: str, text: str) -> None:
            cluster.kube_jobs[name].pods[0].log = text

        return Rig(cluster, end, write, start)
