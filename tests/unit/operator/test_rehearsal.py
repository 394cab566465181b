"""Pods are judged when a JobQueue is made, not when its first job comes."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from bullpen_operator.entries import Rehearsed
from bullpen_operator.kube import KubeApi, batch, core
from bullpen_operator.manifest import Placement
from bullpen_operator.rehearsal import rehearse
from fakes.api_server import FakeApiServer, status
from fakes.operators import a_spec

PLACEMENT = Placement("ns", "jq", "i", "redis", default_image="runner:1")


class Rig:
    def __init__(self, server: FakeApiServer, api: KubeApi) -> None:
        self.server, self.api = server, api

    async def told(self, *answers: web.Response | None, **spec: Any) -> Rehearsed | None:
        self.server.fail_next = [*answers]
        return await rehearse(self.api, a_spec(**spec), PLACEMENT)


@pytest.fixture
def rig(server: FakeApiServer, api: KubeApi) -> Rig:
    return Rig(server, api)


async def test_a_pod_and_its_kube_job_are_judged_and_nothing_is_kept(rig: Rig) -> None:
    assert await rig.told() == Rehearsed(True)
    asked = rig.server.asked("POST")
    assert [(path, query) for _, path, query in asked] == [
        (core("ns", "pods"), {"dryRun": "All"}),
        (batch("ns"), {"dryRun": "All"}),
    ]
    assert not any(rig.server.objects.values())


async def test_a_bare_pod_has_no_kube_job_to_be_judged(rig: Rig) -> None:
    await rig.told(jobTypes=[{"name": "a", "workload": "Pod"}, {"name": "b", "workload": "Pod"}])
    assert [path for _, path, _ in rig.server.asked("POST")] == [core("ns", "pods")] * 2


@pytest.mark.parametrize(
    ("answer", "code", "sentence"),
    [
        pytest.param(
            status(403, "Forbidden", 'pods "bp-q-1" is forbidden: violates PodSecurity "restricted:latest"'),
            "pod-security",
            "Kubernetes refuses the pods of 'resize': its pod is forbidden: violates PodSecurity",
            id="pod-security",
        ),
        pytest.param(
            status(403, "Forbidden", "exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1"),
            "quota",
            "job type 'resize': the namespace's quota leaves no room",
            id="quota",
        ),
        pytest.param(
            status(400, "BadRequest", 'admission webhook "x" denied the request: no'), "denied", "denied", id="webhook"
        ),
    ],
)
async def test_a_refusal_is_one_sentence_with_a_code(rig: Rig, answer: web.Response, code: str, sentence: str) -> None:
    found = await rig.told(answer)
    assert found is not None
    assert (found.accepted, found.code) == (False, code)
    assert sentence in found.sentence


async def test_the_first_that_is_refused_is_told(rig: Rig) -> None:
    refusal = status(422, "Invalid", 'Pod "x" is invalid: spec')
    found = await rig.told(None, None, refusal, jobTypes=[{"name": "good"}, {"name": "bad"}])
    assert found is not None
    assert "'bad'" in found.sentence


async def test_what_can_t_be_rendered_is_refused_before_anybody_is_asked(rig: Rig) -> None:
    found = await rig.told(jobTypes=[{"name": "a", "podTemplate": {"spec": {"hostNetwork": True}}}])
    assert found is not None
    assert "hostNetwork" in found.sentence
    assert rig.server.requests == []


@pytest.mark.parametrize(
    "answer",
    [
        status(503, "ServiceUnavailable"),
        status(403, "Forbidden", 'pods is forbidden: User "x" cannot create resource "pods" in API group ""'),
    ],
)
async def test_an_answer_that_says_nothing_of_the_pod_leaves_it_open(rig: Rig, answer: web.Response) -> None:
    assert await rig.told(answer) is None
