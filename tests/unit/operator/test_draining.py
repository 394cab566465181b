"""Before a release goes: who is stopped, what is drained, what is removed and what is only named."""

from __future__ import annotations

from typing import Any, cast

import pytest

from bullpen_operator import crd_upgrade, draining
from bullpen_operator.crd import crd
from bullpen_operator.draining import Closing, remove_ended, still_there, stop_operator
from bullpen_operator.engine import Engine, Served
from bullpen_operator.kube import KubeApi, batch, core
from bullpen_operator.manifest import Placement, bare_pod, kube_job
from bullpen_operator.model import JobType
from bullpen_operator.seen import Attempt
from bullpen_operator.settings import Settings
from fakes.api_server import FakeApiServer, status
from fakes.cluster import FakeCluster
from fakes.engine import FakeEngine
from fakes.operators import a_spec

DEPLOYMENTS = "/apis/apps/v1/namespaces/ns/deployments"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PLACEMENT = Placement("ns", "jq", "0123456789abcdef", "redis")
ENDED = {"phase": "Failed", "containerStatuses": [{"name": "runner", "state": {"terminated": {"exitCode": 143}}}]}


def attempt(job_id: str) -> Attempt:
    return Attempt("ns/jq", "bull", "q", job_id, "t", f"bullpen/0123456789abcdef/{job_id}")


async def bare(server: FakeApiServer, job_id: str, said: dict[str, Any]) -> str:
    body = bare_pod(attempt(job_id), JobType.model_validate({"name": "t", "image": "i"}), PLACEMENT)
    body["metadata"] |= {"uid": f"uid-{job_id}", "creationTimestamp": "2026-11-26T10:00:00Z"}
    name: str = body["metadata"]["name"]
    await server.put(core("ns", "pods"), body | {"status": said})
    return name


def test_what_is_put_is_drained_and_never_served() -> None:
    engine = FakeEngine()
    closing = Closing(cast(Engine, engine))
    closing.put(Served("ns/q", a_spec(), "i", cast(Any, None), FakeCluster(cast(Any, None))))
    closing.remove("ns/q")
    assert engine.told == ["put ns/q", "drain ns/q"]


async def test_the_operator_is_scaled_to_nothing(server: FakeApiServer, api: KubeApi) -> None:
    await server.put(DEPLOYMENTS, {"metadata": {"name": "bp"}, "spec": {"replicas": 2}})
    await stop_operator(api, "ns", "bp")
    assert server.objects[DEPLOYMENTS]["bp"]["spec"] == {"replicas": 0}
    assert server.asked("PATCH")[0][1].endswith("/bp/scale"), "the scale alone: no right to change the Deployment"


async def test_an_api_server_that_refuses_is_one_sentence_and_nothing_is_deleted(
    server: FakeApiServer, api: KubeApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def connect(_: object) -> KubeApi:
        return api

    monkeypatch.setattr(KubeApi, "connect", staticmethod(connect))
    server.fail_next = [status(403, "Forbidden", "deployments.apps is forbidden")]
    assert await draining.run(Settings(("ns",), lease="bp", own_namespace="ns"), draining.Release("bp"), 60) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "Not everything could be given back:"
    assert said[1].startswith("the API server does not do what it is asked: ")
    assert "helm uninstall --no-hooks" in said[2]
    assert server.asked("DELETE") == []


async def test_an_operator_that_is_gone_already_is_no_trouble(server: FakeApiServer, api: KubeApi) -> None:
    await stop_operator(api, "ns", "bp")
    assert server.objects[DEPLOYMENTS] == {}


async def test_ended_attempts_are_removed_and_live_ones_named(server: FakeApiServer, api: KubeApi) -> None:
    done = await bare(server, "1", ENDED)
    live = await bare(server, "2", {"phase": "Running"})
    assert await still_there(api, "ns") == [f"job 2 of queue q: {live} has not ended"]
    await server.remove(core("ns", "pods"), live)
    body = kube_job(attempt("3"), JobType.model_validate({"name": "t", "image": "i"}), PLACEMENT)
    conditions = [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]
    await server.put(batch("ns"), body | {"status": {"conditions": conditions}})
    await server.put(core("ns", "pods"), {"metadata": {"name": "somebody-else-s"}})
    await remove_ended(api, "ns")
    assert (list(server.objects[core("ns", "pods")]), server.objects[batch("ns")]) == (["somebody-else-s"], {})
    assert done not in server.objects[core("ns", "pods")]


async def test_an_upgrade_leaves_nothing_in_the_definition_that_this_version_does_not_have(
    server: FakeApiServer, api: KubeApi
) -> None:
    old = crd()
    old["spec"]["versions"][0]["additionalPrinterColumns"].append({"name": "Gone"})
    old["metadata"]["labels"] = {"somebody": "else-s"}
    await server.put(CRDS, old)
    assert await crd_upgrade.upgrade(api)
    [now] = server.objects[CRDS].values()
    assert now["spec"] == crd()["spec"]
    assert now["metadata"]["labels"] == {"somebody": "else-s"}


async def test_a_definition_that_was_never_installed_is_not_made(server: FakeApiServer, api: KubeApi) -> None:
    assert not await crd_upgrade.upgrade(api)
    assert server.objects[CRDS] == {}
