"""The Launcher port over an API server: what it asks, and what the answers become."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from bullpen_operator import naming
from bullpen_operator.kube import KubeApi, batch, core
from bullpen_operator.kube_launcher import KubeLauncher, Nodes
from bullpen_operator.manifest import Placement, attempt_to_text
from bullpen_operator.model import JobType
from bullpen_operator.namespace_mirror import NamespaceMirror
from bullpen_operator.ports import ConfigurationFaultError, LauncherUnavailableError
from bullpen_operator.reflector import Pace
from bullpen_operator.seen import Attempt
from fakes.api_server import FakeApiServer, status, until

JOBS, PODS, NODES = batch("ns"), core("ns", "pods"), "/api/v1/nodes"
TYPE = JobType.model_validate({"name": "t", "image": "i:1"})
INSTALLATION = "0123456789abcdef"


def attempt(job_id: str = "1", installation: str = INSTALLATION) -> Attempt:
    return Attempt("ns/jq", "bull", "q", job_id, "t", f"bullpen/{installation}/u{job_id}")


def name_of(one: Attempt) -> str:
    return naming.kube_job_name(one.queue, one.job_id, one.token)


def pod_of(one: Attempt, *, ready: str = "True", **metadata: Any) -> dict[str, Any]:
    owner = name_of(one)
    return {
        "metadata": {
            "name": f"{owner}-x",
            "uid": f"uid-{one.job_id}",
            "labels": {"batch.kubernetes.io/job-name": owner, naming.LABEL_INSTALLATION: INSTALLATION},
            "annotations": {naming.ANNOTATION_ATTEMPT: attempt_to_text(one)},
            "ownerReferences": [{"kind": "Job", "name": owner}],
            **metadata,
        },
        "spec": {"nodeName": "node-1"},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [{"name": "runner", "ready": True, "state": {"running": {}}}],
        },
    }


class Rig:
    def __init__(self, server: FakeApiServer, api: KubeApi) -> None:
        self.server = server
        self.mirror = NamespaceMirror(api, "ns", Pace(first_delay_s=0.01, between_s=0.01))
        self.launcher = KubeLauncher(api, self.mirror, Nodes(api), Placement("ns", "jq", INSTALLATION, "redis"))


@pytest.fixture
def rig(server: FakeApiServer, api: KubeApi) -> Rig:
    return Rig(server, api)


async def test_launching_twice_makes_one_kube_job(rig: Rig) -> None:
    await rig.launcher.launch(attempt(), TYPE)
    await rig.launcher.launch(attempt(), TYPE)
    assert list(rig.server.objects[JOBS]) == [name_of(attempt())]
    assert len(rig.server.asked("POST")) == 2


@pytest.mark.parametrize(
    ("answer", "retry_after_s"),
    [
        pytest.param(status(429, "TooManyRequests", headers={"Retry-After": "3"}), 3, id="throttled"),
        pytest.param(status(500, "InternalError", "failed calling webhook"), None, id="webhook-away"),
        pytest.param(status(504, "Timeout"), None, id="timed-out"),
        pytest.param(status(401, "Unauthorized"), None, id="token-being-rotated"),
        pytest.param(status(403, "Forbidden", "exceeded quota: jobs"), None, id="a-quota-that-is-used-up"),
        pytest.param(web.Response(status=503, text="<html>proxy"), None, id="not-even-json"),
    ],
)
async def test_a_server_that_cant_answer_now_costs_no_attempt(
    rig: Rig, answer: web.Response, retry_after_s: float | None
) -> None:
    rig.server.fail_next = [answer]
    with pytest.raises(LauncherUnavailableError) as caught:
        await rig.launcher.launch(attempt(), TYPE)
    assert caught.value.retry_after_s == retry_after_s


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        pytest.param(status(422, "Invalid", 'Job "x" is invalid: spec'), "is invalid: spec", id="invalid"),
        pytest.param(status(400, "BadRequest", "admission webhook denied"), "denied", id="denied"),
        pytest.param(status(404, "NotFound", 'namespaces "ns" not found'), "not found", id="no-namespace"),
    ],
)
async def test_a_refusal_is_a_fault_of_the_configuration(rig: Rig, answer: web.Response, sentence: str) -> None:
    rig.server.fail_next = [answer]
    with pytest.raises(ConfigurationFaultError, match=sentence):
        await rig.launcher.launch(attempt(), TYPE)


async def test_an_answer_that_never_comes_is_unknown_not_a_failure(rig: Rig) -> None:
    await rig.server.stop()
    with pytest.raises(LauncherUnavailableError):
        await rig.launcher.launch(attempt(), TYPE)


async def test_list_is_complete_over_pages_and_this_installation_only(rig: Rig) -> None:
    rig.server.page = 2
    for number in range(5):
        await rig.launcher.launch(attempt(str(number)), TYPE)
    await rig.server.put(PODS, pod_of(attempt("0")))
    foreign = attempt("9", "other")
    metadata = {"name": "foreign", "labels": {naming.LABEL_INSTALLATION: "other"}}
    await rig.server.put(JOBS, {"metadata": metadata | {"annotations": {}}, "attempt": attempt_to_text(foreign)})
    seen = await rig.launcher.list()
    assert sorted(one.attempt.job_id for one in seen) == ["0", "1", "2", "3", "4"]
    assert {one.attempt.job_id: len(one.pods) for one in seen}["0"] == 1


@pytest.mark.parametrize("failing", range(3))
async def test_a_list_that_fails_is_never_a_short_list(rig: Rig, failing: int) -> None:
    rig.server.page = 1
    for number in range(2):
        await rig.launcher.launch(attempt(str(number)), TYPE)
    rig.server.fail_next = [None] * failing + [status(500, "InternalError")]
    with pytest.raises(LauncherUnavailableError):
        await rig.launcher.list()


async def test_look_joins_the_kube_job_and_its_pods_live(rig: Rig) -> None:
    assert await rig.launcher.look(name_of(attempt())) is None
    await rig.launcher.launch(attempt(), TYPE)
    await rig.server.put(PODS, pod_of(attempt()))
    seen = await rig.launcher.look(name_of(attempt()))
    assert seen is not None
    assert seen.attempt == attempt()
    assert [(pod.uid, pod.node_ready) for pod in seen.pods] == [("uid-1", True)]


async def test_a_pod_whose_kube_job_was_deleted_is_still_seen(rig: Rig) -> None:
    await rig.server.put(PODS, pod_of(attempt()))
    seen = await rig.launcher.look(name_of(attempt()))
    assert seen is not None
    assert (seen.deleting, [pod.uid for pod in seen.pods]) == (True, ["uid-1"])
    assert [one.name for one in await rig.launcher.list()] == [name_of(attempt())]


async def test_the_node_is_asked_only_when_its_pod_hints_at_trouble(rig: Rig) -> None:
    await rig.server.put(PODS, pod_of(attempt("fine")))
    await rig.launcher.list()
    assert not [r for r in rig.server.requests if r[1].startswith(NODES)]
    await rig.server.put(PODS, pod_of(attempt("troubled"), ready="False"))
    nodes = {pod.uid: (pod.node_ready, pod.node_gone) for one in await rig.launcher.list() for pod in one.pods}
    assert nodes == {"uid-fine": (True, False), "uid-troubled": (False, True)}
    await rig.launcher.list()
    assert len([r for r in rig.server.requests if r[1].startswith(NODES)]) == 1, "fresh enough for the next list"


async def test_without_permission_on_nodes_the_pods_hint_stands(rig: Rig) -> None:
    await rig.server.put(PODS, pod_of(attempt(), ready="False"))
    rig.server.fail_next = [None, status(403, "Forbidden")]
    [seen] = await rig.launcher.list()
    assert [(pod.node_ready, pod.node_gone) for pod in seen.pods] == [(False, False)]
    await rig.launcher.list()
    assert len([r for r in rig.server.requests if r[1].startswith(NODES)]) == 1, "not asked again"


async def test_delete_lets_the_pod_end_first_and_none_there_is_fine(rig: Rig) -> None:
    await rig.launcher.launch(attempt(), TYPE)
    await rig.launcher.delete(name_of(attempt()))
    assert rig.server.bodies[-1]["propagationPolicy"] == "Foreground"
    assert "gracePeriodSeconds" not in rig.server.bodies[-1]
    await rig.launcher.delete(name_of(attempt()))
    assert rig.server.objects[JOBS] == {}


async def test_recorded_is_marked_and_none_there_is_fine(rig: Rig) -> None:
    await rig.launcher.launch(attempt(), TYPE)
    await rig.launcher.mark_recorded(name_of(attempt()))
    await rig.launcher.mark_recorded("gone")
    seen = await rig.launcher.look(name_of(attempt()))
    assert seen is not None
    assert seen.recorded


async def test_a_question_that_is_refused_is_asked_again_later(rig: Rig) -> None:
    rig.server.fail_next = [status(403, "Forbidden", "may not delete")]
    with pytest.raises(LauncherUnavailableError, match="may not delete"):
        await rig.launcher.delete("x")


async def test_changes_tell_of_this_installation_until_an_attempt_is_gone(rig: Rig) -> None:
    changes = rig.launcher.changes()
    running = asyncio.create_task(rig.mirror.run())
    first = asyncio.ensure_future(anext(changes))
    async with asyncio.timeout(5):
        await until(lambda: len(rig.server.asked("GET", watch=True)) == 2)
        await rig.launcher.launch(attempt("9", "other"), TYPE)
        await rig.launcher.launch(attempt(), TYPE)
        seen = await first
        assert (seen.attempt, seen.pods) == (attempt(), ())
        await rig.server.put(PODS, pod_of(attempt()))
        seen = await anext(changes)
        assert [pod.uid for pod in seen.pods] == ["uid-1"]
        await rig.server.remove(JOBS, name_of(attempt()))
        seen = await anext(changes)
        assert (seen.deleting, len(seen.pods)) == (True, 1)
        await rig.server.remove(PODS, f"{name_of(attempt())}-x")
        seen = await anext(changes)
        assert (seen.name, seen.deleting, seen.pods) == (name_of(attempt()), True, ())
    assert rig.mirror.age_s < 5
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_an_end_outlives_its_pod_and_its_kube_job_until_it_is_recorded(rig: Rig) -> None:
    running = asyncio.create_task(rig.mirror.run())
    changes = rig.launcher.changes()
    first = asyncio.ensure_future(anext(changes))
    await until(lambda: len(rig.server.asked("GET", watch=True)) == 2)
    await rig.launcher.launch(attempt(), TYPE)
    pod = pod_of(attempt())
    await rig.server.put(PODS, pod)
    pod["status"] = {
        "phase": "Failed",
        "containerStatuses": [{"name": "runner", "state": {"terminated": {"exitCode": 143}}}],
    }
    await rig.server.put(PODS, pod)
    await rig.server.remove(PODS, pod["metadata"]["name"])
    await rig.server.remove(JOBS, name_of(attempt()))
    async with asyncio.timeout(5):
        seen = await first
        while not seen.deleting:
            seen = await anext(changes)
    assert [one.ended for one in seen.pods] == [True], "whatever was missed in between, its last state says so"
    await until(lambda: rig.mirror.last_words.names(INSTALLATION) == [name_of(attempt())])
    looked = await rig.launcher.look(name_of(attempt()))
    assert looked is not None
    assert [one.terminated.exit_code for one in looked.pods if one.terminated] == [143]
    assert [one.name for one in await rig.launcher.list()] == [name_of(attempt())]
    await rig.launcher.mark_recorded(name_of(attempt()))
    assert await rig.launcher.look(name_of(attempt())) is None
    assert await rig.launcher.list() == []
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


QUOTA = {
    "metadata": {"name": "e1"},
    "type": "Warning",
    "reason": "FailedCreate",
    "message": "exceeded quota: few",
    "involvedObject": {"uid": "uid-of-job"},
}


async def kube_job_with_uid(rig: Rig) -> None:
    await rig.launcher.launch(attempt(), TYPE)
    made = rig.server.objects[JOBS][name_of(attempt())]
    await rig.server.put(JOBS, made | {"metadata": made["metadata"] | {"uid": "uid-of-job"}})


def events_asked(rig: Rig) -> list[str]:
    return [query["fieldSelector"] for _, path, query in rig.server.requests if path == core("ns", "events")]


async def test_events_are_asked_for_where_nothing_else_says_why_it_waits(rig: Rig) -> None:
    await kube_job_with_uid(rig)
    await rig.server.put(core("ns", "events"), QUOTA)
    await rig.server.put(core("ns", "events"), QUOTA | {"metadata": {"name": "e2"}, "type": "Normal"})
    await rig.server.put(
        core("ns", "events"), QUOTA | {"metadata": {"name": "e3"}, "involvedObject": {"uid": "another"}}
    )
    seen = await rig.launcher.look(name_of(attempt()))
    assert seen is not None
    assert [one.message for one in seen.warnings] == ["exceeded quota: few"]
    assert events_asked(rig) == ["involvedObject.uid=uid-of-job"]


async def test_events_of_what_runs_are_nobody_s_business(rig: Rig) -> None:
    await kube_job_with_uid(rig)
    await rig.server.put(PODS, pod_of(attempt()))
    await rig.launcher.look(name_of(attempt()))
    await rig.launcher.list()
    assert events_asked(rig) == []


async def test_without_permission_on_events_they_are_asked_for_once(rig: Rig) -> None:
    await kube_job_with_uid(rig)
    for _ in range(2):
        rig.server.fail_next = [None, None, status(403, "Forbidden")]
        seen = await rig.launcher.look(name_of(attempt()))
        assert seen is not None
        assert seen.warnings == ()
        rig.server.fail_next = []
    assert len(events_asked(rig)) == 1


@pytest.fixture
async def mirroring(rig: Rig) -> AsyncIterator[Rig]:
    running = asyncio.create_task(rig.mirror.run())
    await until(lambda: len(rig.server.asked("GET", watch=True)) == 2)
    yield rig
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_no_more_is_launched_while_too_many_have_no_pod_until_they_get_one(mirroring: Rig) -> None:
    rig = mirroring
    rig.mirror.gate.limit = 2
    for job_id in "12":
        assert rig.launcher.may_launch()
        await rig.launcher.launch(attempt(job_id), TYPE)
    assert not rig.launcher.may_launch()
    await rig.server.put(PODS, pod_of(attempt("1")))
    await until(rig.launcher.may_launch)


async def test_what_was_refused_or_is_gone_holds_nothing_back(mirroring: Rig) -> None:
    rig = mirroring
    rig.mirror.gate.limit = 1
    rig.server.fail_next = [status(500, "InternalError")]
    with pytest.raises(LauncherUnavailableError):
        await rig.launcher.launch(attempt(), TYPE)
    assert rig.launcher.may_launch()
    await rig.launcher.launch(attempt(), TYPE)
    assert not rig.launcher.may_launch()
    await rig.server.remove(JOBS, name_of(attempt()))
    await until(rig.launcher.may_launch)


async def test_an_installation_whose_pods_are_refused_holds_back_itself_alone(mirroring: Rig) -> None:
    rig = mirroring
    rig.mirror.gate.limit = 1
    await kube_job_with_uid(rig)
    await rig.server.put(core("ns", "events"), QUOTA)
    await rig.launcher.look(name_of(attempt()))
    assert not rig.launcher.may_launch()
    assert rig.mirror.gate.open("another", 0.0)


@pytest.mark.parametrize(
    ("own_s", "asked_s", "given_s"),
    [
        pytest.param(3600, 59.2, 60, id="an-hour-of-its-own"),
        pytest.param(5, 59.2, 5, id="a-short-one-of-its-own"),
        pytest.param(None, 59.2, 30, id="kubernetes-default"),
        pytest.param(30, 0.0, 1, id="never-0-which-asks-no-kubelet"),
    ],
)
async def test_a_pod_s_grace_is_shortened_before_its_kube_job_goes_and_never_lengthened(
    rig: Rig, own_s: int | None, asked_s: float, given_s: int
) -> None:
    one = attempt()
    await rig.launcher.launch(one, TYPE)
    pod = pod_of(one)
    pod["spec"] |= {} if own_s is None else {"terminationGracePeriodSeconds": own_s}
    await rig.server.put(PODS, pod)
    await rig.launcher.delete(name_of(one), grace_s=asked_s)
    paths = [path for _, path, _ in rig.server.asked("DELETE")]
    assert paths == [f"{PODS}/{name_of(one)}-x", f"{JOBS}/{name_of(one)}"]
    assert [body.get("gracePeriodSeconds") for body in rig.server.bodies[-2:]] == [given_s, None]
