"""Ended bare pods are kept as long as ended KubeJobs, and then they go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from bullpen_operator import naming
from bullpen_operator.janitor import UNRECORDED_S, Janitor
from bullpen_operator.kube import KubeApi, core
from bullpen_operator.manifest import TTL_S, Placement, bare_pod
from bullpen_operator.model import JobType
from bullpen_operator.namespace_mirror import NamespaceMirror
from bullpen_operator.reflector import Pace
from fakes.api_server import FakeApiServer, until
from fakes.sights import NOW, an_attempt

PODS = core("ns", "pods")
TYPE = JobType.model_validate({"name": "resize", "image": "i", "workload": "Pod"})
ENDED = {"phase": "Succeeded", "containerStatuses": [{"name": "runner", "state": {"terminated": {"exitCode": 0}}}]}


class Rig:
    def __init__(self, server: FakeApiServer, api: KubeApi) -> None:
        self.server = server
        self.mirror = NamespaceMirror(api, "ns", Pace(between_s=0.01))
        self.now = NOW
        self.janitor = Janitor(api, {"ns": self.mirror}, lambda: self.now)

    async def pod(self, job_id: str, status: dict[str, Any], recorded: datetime | None = None) -> str:
        attempt = an_attempt(job_id=job_id)
        body = bare_pod(attempt, TYPE, Placement("ns", "jq", "inst", "redis"))
        body["metadata"]["creationTimestamp"] = NOW.isoformat()
        if recorded is not None:
            body["metadata"]["annotations"][naming.ANNOTATION_RECORDED] = recorded.isoformat()
        await self.server.put(PODS, body | {"status": status})
        name: str = body["metadata"]["name"]
        await until(lambda: any(seen.name == name for seen in self.mirror.bare_attempts()))
        return name

    async def left_after(self, seconds: float) -> set[str]:
        self.now = NOW + timedelta(seconds=seconds)
        await self.janitor.round()
        return set(self.server.objects[PODS])


@pytest.fixture
async def rig(server: FakeApiServer, api: KubeApi) -> AsyncIterator[Rig]:
    rig = Rig(server, api)
    running = asyncio.create_task(rig.mirror.run())
    await until(lambda: len(server.asked("GET", watch=True)) == 2)
    yield rig
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_recorded_pod_goes_after_its_time_to_live(rig: Rig) -> None:
    name = await rig.pod("1", ENDED, recorded=NOW)
    assert await rig.left_after(TTL_S - 1) == {name}
    assert await rig.left_after(TTL_S) == set()


async def test_one_that_runs_is_never_removed(rig: Rig) -> None:
    name = await rig.pod("1", {"phase": "Running"}, recorded=NOW)
    assert await rig.left_after(100 * UNRECORDED_S) == {name}


async def test_one_that_nobody_recorded_goes_after_a_day(rig: Rig) -> None:
    name = await rig.pod("1", ENDED)
    assert await rig.left_after(UNRECORDED_S - 1) == {name}
    assert await rig.left_after(UNRECORDED_S) == set()


async def test_pods_of_others_are_nobody_s_business(rig: Rig) -> None:
    await rig.pod("1", ENDED, recorded=NOW)
    foreign = {"metadata": {"name": "theirs", "labels": {naming.LABEL_INSTALLATION: "x"}}, "status": ENDED}
    await rig.server.put(PODS, foreign)
    assert await rig.left_after(TTL_S) == {"theirs"}
