"""From JobQueue objects to what the engine serves, in whatever order they and their Secrets come."""

from __future__ import annotations

import asyncio
import base64
from typing import Any, cast

import pytest

from bullpen_operator import naming
from bullpen_operator.entries import Rehearsed
from bullpen_operator.kube import KubeApi, KubeRefusedError, batch, core, jobqueues
from bullpen_operator.kube_launcher import KubeLauncher
from bullpen_operator.manifest import Placement, kube_job
from bullpen_operator.model import JobType
from bullpen_operator.namespace_mirror import NamespaceMirror
from bullpen_operator.ports import Server
from bullpen_operator.roster import Roster
from bullpen_operator.seen import Attempt
from bullpen_operator.settings import Settings
from bullpen_operator.sizes import Sizes
from bullpen_protocol.bullmq import ServerUrlError
from bullpen_protocol.forwarding.entries import Target
from fakes.api_server import FakeApiServer, status, until
from fakes.engine import FakeEngine

URL = "redis://r:6379"


def jobqueue(name: str = "jq", generation: int = 1, **spec: Any) -> dict[str, Any]:
    whole = {"queue": "q", "redis": {"secretRef": {"name": "redis"}}, "jobTypes": [{"name": "t", "image": "i"}], **spec}
    return {"metadata": {"name": name, "namespace": "ns", "generation": generation}, "spec": whole}


def secret(name: str = "redis", **values: str) -> dict[str, Any]:
    data = {key.replace("_", "."): base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"metadata": {"name": name}, "data": data}


class Rig:
    def __init__(self, server: FakeApiServer, api: KubeApi) -> None:
        self.server, self.api, self.engine = server, api, FakeEngine()
        self.connected: list[tuple[str, str | None]] = []
        mirrors = {"ns": NamespaceMirror(api, "ns")}
        logs = Target("http://h/logs", window_s=0.5)
        settings = Settings(("ns",), runner_image="runner:1", resync_interval_s=0.01, log_server=logs)
        self.roster = Roster(api, self.engine, settings, mirrors, self._connect)

    def _connect(self, url: str, ca: str | None) -> Server:
        if not url.startswith("redis"):
            raise ServerUrlError("expected redis:// or rediss://")
        self.connected.append((url, ca))
        return cast(Server, object())

    @property
    def fault(self) -> tuple[str, str] | None:
        fault = self.roster.entries["ns", "jq"].fault
        return None if fault is None else (fault.reason, fault.sentence)


@pytest.fixture
async def rig(server: FakeApiServer, api: KubeApi) -> Rig:
    await server.put("/api/v1/namespaces", {"metadata": {"name": "ns", "uid": "uid-of-ns"}})
    await server.put(core("ns", "secrets"), secret(url=URL))
    return Rig(server, api)


async def test_a_jobqueue_is_put_with_its_redis_and_its_installation(rig: Rig) -> None:
    await rig.server.put(core("ns", "secrets"), secret(url=f" {URL}\n", ca_crt="PEM"))
    await rig.roster.seen(jobqueue())
    served = rig.engine.served["ns/jq"]
    assert served.installation == naming.installation_id("uid-of-ns", "ns", "jq")
    assert served.spec.queue == "q"
    assert rig.connected == [(URL, "PEM")]
    assert rig.fault is None
    handed_on = cast(KubeLauncher, served.launcher).placement.handed_on
    assert handed_on == {"LOGS_WS_URL": "http://h/logs", "LOG_COALESCE_WINDOW_MS": "500"}


async def test_what_job_types_were_known_to_need_is_read_from_the_status(rig: Rig) -> None:
    sizes = [{"jobType": "t", "memory": "512Mi"}]
    await rig.roster.seen(jobqueue() | {"status": {"sizes": sizes, "giveBacks": 7}})
    assert rig.engine.served["ns/jq"].sizes == {"t": Sizes(memory=2**29)}
    assert rig.roster.entries["ns", "jq"].given_back_before == 7


async def test_a_status_that_is_not_ours_teaches_nothing(rig: Rig) -> None:
    await rig.roster.seen(jobqueue() | {"status": {"sizes": [{"jobType": "t", "memory": "lots"}], "giveBacks": "x"}})
    assert rig.engine.served["ns/jq"].sizes == {}


async def test_the_same_once_more_changes_nothing(rig: Rig) -> None:
    for _ in range(3):
        await rig.roster.seen(jobqueue())
    assert rig.engine.told == ["put ns/jq"]


async def test_a_changed_spec_is_put_with_the_same_launcher_and_redis(rig: Rig) -> None:
    await rig.roster.seen(jobqueue())
    before = rig.engine.served["ns/jq"]
    await rig.server.put(core("ns", "secrets"), secret("other", url=URL))
    await rig.roster.seen(jobqueue(generation=2, concurrency=3, redis={"secretRef": {"name": "other"}}))
    after = rig.engine.served["ns/jq"]
    assert after.spec.concurrency == 3
    assert after.launcher is before.launcher
    assert after.server is before.server
    assert cast(KubeLauncher, after.launcher).placement.redis_secret == "other"


async def test_two_jobqueues_of_one_redis_share_its_connection(rig: Rig) -> None:
    await rig.roster.seen(jobqueue("a"))
    await rig.roster.seen(jobqueue("b", queue="another"))
    assert rig.engine.served["ns/a"].server is rig.engine.served["ns/b"].server
    assert rig.engine.served["ns/a"].installation != rig.engine.served["ns/b"].installation


@pytest.mark.parametrize(
    ("body", "secrets", "reason", "sentence"),
    [
        pytest.param(
            jobqueue(concurrency=0), [], "InvalidSpec", "spec.concurrency: Input should be greater", id="spec"
        ),
        pytest.param(
            jobqueue(jobTypes=[{"name": "a"}, {"name": "a"}]), [], "InvalidSpec", "'a' is listed twice", id="twice"
        ),
        pytest.param(
            jobqueue(redis={"secretRef": {"name": "gone"}}),
            [],
            "SecretMissing",
            "'gone' does not exist",
            id="no-secret",
        ),
        pytest.param(jobqueue(), [secret(uri=URL)], "SecretIncomplete", "no key url", id="no-url"),
        pytest.param(jobqueue(), [secret(url="http://r")], "SecretInvalid", "expected redis://", id="no-redis"),
    ],
)
async def test_what_cant_be_served_says_why_and_is_served_no_more(
    rig: Rig, body: dict[str, Any], secrets: list[dict[str, Any]], reason: str, sentence: str
) -> None:
    await rig.roster.seen(jobqueue())
    for one in secrets:
        await rig.server.put(core("ns", "secrets"), one)
    body["metadata"]["generation"] = 2
    await rig.roster.seen(body)
    assert rig.engine.served == {}
    assert rig.fault is not None
    assert rig.fault[0] == reason
    assert sentence in rig.fault[1]


async def test_a_secret_that_comes_later_or_changes_is_found_by_the_resync(rig: Rig) -> None:
    await rig.server.put(jobqueues("ns"), jobqueue(redis={"secretRef": {"name": "later"}}))
    await rig.roster.resync()
    assert rig.engine.served == {}
    await rig.server.put(core("ns", "secrets"), secret("later", url=URL))
    await rig.roster.resync()
    assert list(rig.engine.served) == ["ns/jq"]
    await rig.server.put(core("ns", "secrets"), secret("later", url=f"{URL}/1"))
    await rig.roster.resync()
    assert [url for url, _ in rig.connected] == [URL, f"{URL}/1"]


async def test_a_deletion_that_nobody_told_of_is_found_by_the_resync(rig: Rig) -> None:
    await rig.server.put(jobqueues("ns"), jobqueue())
    await rig.roster.resync()
    await rig.server.remove(jobqueues("ns"), "jq", unheard=True)
    await rig.roster.resync()
    assert rig.engine.served == {}
    assert rig.roster.entries == {}


async def test_a_jobqueue_that_is_made_while_all_are_read_again_is_not_taken_for_gone(rig: Rig) -> None:
    async def made_meanwhile() -> None:
        asked = rig.server.requests
        while not any(path.endswith("/secrets/redis") for _, path, _ in asked[before:]):  # noqa: ASYNC110 - no time passes
            await asyncio.sleep(0)
        await rig.roster.seen(jobqueue("new", queue="another"))

    for name in ("a", "b", "c"):  # their turns leave room for others' between them
        await rig.server.put(jobqueues("ns"), jobqueue(name, queue=name))
    await rig.roster.resync()
    before = len(rig.server.requests)
    await asyncio.gather(rig.roster.resync(), made_meanwhile())
    assert sorted(rig.engine.served) == ["ns/a", "ns/b", "ns/c", "ns/new"]


async def test_a_list_that_fails_takes_nothing_for_gone(rig: Rig) -> None:
    await rig.server.put(jobqueues("ns"), jobqueue())
    running = asyncio.create_task(rig.roster.run())
    try:
        await until(lambda: bool(rig.engine.served))
        rig.server.fail_next = [status(500, "InternalError") for _ in range(5)]
        await until(lambda: not rig.server.fail_next)
        assert list(rig.engine.served) == ["ns/jq"]
        assert rig.roster.age_s < 5
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_an_api_server_that_is_away_is_no_fault_of_the_jobqueue(rig: Rig) -> None:
    rig.server.fail_next = [status(500, "InternalError")]
    await rig.roster.seen(jobqueue())
    assert rig.fault is None
    assert rig.engine.served == {}
    await rig.roster.seen(jobqueue())
    assert list(rig.engine.served) == ["ns/jq"]


async def test_gone_is_gone_and_twice_is_once(rig: Rig) -> None:
    await rig.roster.seen(jobqueue())
    await rig.roster.gone("ns", "jq", "")
    await rig.roster.gone("ns", "jq", "")
    assert rig.engine.served == {}
    await rig.roster.seen(jobqueue())
    assert rig.engine.told == ["put ns/jq", "drain ns/jq", "put ns/jq"]


def born(uid: str, created: str, **status: Any) -> dict[str, Any]:
    body = jobqueue()
    body["metadata"] |= {"uid": uid, "creationTimestamp": created}
    return body | {"status": status}


async def test_a_jobqueue_that_was_made_anew_inherits_nothing_from_the_one_of_its_name(rig: Rig) -> None:
    sizes = [{"jobType": "t", "memory": "512Mi"}]
    await rig.roster.seen(born("1", "2026-01-01T00:00:00Z", sizes=sizes, giveBacks=7))
    await rig.roster.seen(born("2", "2026-01-01T00:00:05Z"))
    assert rig.engine.told == ["put ns/jq", "drain ns/jq", "put ns/jq"]
    assert rig.engine.served["ns/jq"].sizes == {}
    entry = rig.roster.entries["ns", "jq"]
    assert (entry.uid, entry.given_back_before, entry.status) == ("2", 0, {})


async def test_what_is_heard_late_of_a_deleted_jobqueue_does_not_touch_the_one_that_was_made_anew(rig: Rig) -> None:
    old, new = born("1", "2026-01-01T00:00:00Z"), born("2", "2026-01-01T00:00:05Z")
    for body in (old, new, old):
        await rig.roster.seen(body)
    await rig.roster.gone("ns", "jq", "1")
    assert rig.engine.told == ["put ns/jq", "drain ns/jq", "put ns/jq"]
    assert rig.roster.entries["ns", "jq"].uid == "2"
    await rig.roster.gone("ns", "jq", "2")
    assert rig.engine.served == {}


async def test_attempts_of_a_vanished_jobqueue_are_settled_before_anything_is_served(rig: Rig) -> None:
    placement = Placement("ns", "vanished", "0123456789abcdef", "redis")
    attempt = Attempt("ns/vanished", "bull", "old", "1", "t", "bullpen/0123456789abcdef/u")
    body = kube_job(attempt, JobType.model_validate({"name": "t", "image": "i"}), placement)
    await rig.server.put(batch("ns"), body)
    await rig.roster.seen(jobqueue())
    assert rig.engine.told == ["put ns/vanished", "drain ns/vanished", "put ns/jq"]
    await rig.roster.resync()
    assert rig.engine.told[3:] == ["drain ns/jq"], "searched once; the resync finds that nobody made jq"


def made(name: str, second: int, **spec: Any) -> dict[str, Any]:
    body = jobqueue(name, **spec)
    body["metadata"]["creationTimestamp"] = f"2026-11-23T10:00:{second:02}Z"
    return body


@pytest.mark.parametrize("order", [("old", "new"), ("new", "old")])
async def test_of_two_on_one_queue_the_older_serves_it_in_whatever_order_they_are_seen(
    rig: Rig, order: tuple[str, str]
) -> None:
    bodies = {"old": made("old", 1), "new": made("new", 2)}
    for name in order:
        await rig.roster.seen(bodies[name])
    assert list(rig.engine.served) == ["ns/old"]
    fault = rig.roster.entries["ns", "new"].fault
    assert fault is not None
    assert fault.reason == "Conflict"
    assert "JobQueue ns/old serves this queue" in fault.sentence


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"queue": "another"}, id="queue"),
        pytest.param({"prefix": "another"}, id="prefix"),
        pytest.param({"redis": {"secretRef": {"name": "db1"}}}, id="database"),
    ],
)
async def test_other_queues_are_no_conflict(rig: Rig, other: dict[str, Any]) -> None:
    await rig.server.put(core("ns", "secrets"), secret("db1", url=f"{URL}/1"))
    await rig.roster.seen(made("old", 1))
    await rig.roster.seen(made("new", 2, **other))
    assert len(rig.engine.served) == 2


async def test_credentials_do_not_make_another_queue(rig: Rig) -> None:
    await rig.server.put(core("ns", "secrets"), secret("user", url="redis://user:secret@R:6379/0"))
    await rig.roster.seen(made("old", 1))
    await rig.roster.seen(made("new", 2, redis={"secretRef": {"name": "user"}}))
    assert list(rig.engine.served) == ["ns/old"]
    assert "secret" not in rig.roster.entries["ns", "new"].identity


async def test_when_the_older_goes_the_newer_serves_at_once(rig: Rig) -> None:
    for body in (made("old", 1), made("new", 2)):
        await rig.server.put(jobqueues("ns"), body)
    rig.roster._settings = Settings(("ns",), runner_image="runner:1", resync_interval_s=600)
    running = asyncio.create_task(rig.roster.run())
    try:
        await until(lambda: len(rig.roster.entries) == 2 and list(rig.engine.served) == ["ns/old"])
        await rig.server.remove(jobqueues("ns"), "old", unheard=True)
        await rig.roster.gone("ns", "old", "")
        await until(lambda: list(rig.engine.served) == ["ns/new"])
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_pods_are_judged_until_they_are_accepted_and_again_when_the_spec_changes(rig: Rig) -> None:
    entry = rig.roster.entries
    rig.server.fail_next = [None] * 5 + [status(403, "Forbidden", "violates PodSecurity")]
    await rig.roster.seen(jobqueue())
    rehearsed = entry["ns", "jq"].rehearsed
    assert rehearsed is not None
    assert rehearsed.code == "pod-security"
    assert list(rig.engine.served) == ["ns/jq"], "it is served: the breaker stops what fails"
    await rig.roster.seen(jobqueue())
    assert entry["ns", "jq"].rehearsed == Rehearsed(True)
    judged = len(rig.server.asked("POST"))
    await rig.roster.seen(jobqueue())
    assert len(rig.server.asked("POST")) == judged
    await rig.roster.seen(jobqueue(generation=2, concurrency=2))
    assert len(rig.server.asked("POST")) > judged


GRAPH = {"name": "t", "image": "i", "graph": {"secretRef": {"name": "graph"}}}
STORE_URL = "http://g/repositories/r"


async def test_a_jobqueue_gets_the_graph_stores_of_its_job_types(rig: Rig) -> None:
    await rig.server.put(core("ns", "secrets"), secret("graph", url=STORE_URL, username="u", password="p"))
    await rig.roster.seen(jobqueue(jobTypes=[GRAPH, {"name": "u", "image": "i"}]))
    assert list(rig.engine.served["ns/jq"].stores) == ["graph"]
    assert rig.roster.entries["ns", "jq"].notice is None
    await rig.roster.seen(jobqueue("other", queue="another", jobTypes=[GRAPH]))
    assert rig.engine.served["ns/other"].stores["graph"] is rig.engine.served["ns/jq"].stores["graph"]


async def test_a_changed_graph_secret_is_put(rig: Rig) -> None:
    await rig.server.put(core("ns", "secrets"), secret("graph", url=STORE_URL))
    await rig.roster.seen(jobqueue(jobTypes=[GRAPH]))
    await rig.roster.seen(jobqueue(jobTypes=[GRAPH]))
    assert rig.engine.told == ["put ns/jq"]
    before = rig.engine.served["ns/jq"].stores["graph"]
    await rig.server.put(core("ns", "secrets"), secret("graph", url=STORE_URL, username="u", password="p"))
    await rig.roster.seen(jobqueue(jobTypes=[GRAPH]))
    assert rig.engine.told == ["put ns/jq", "put ns/jq"]
    assert rig.engine.served["ns/jq"].stores["graph"] is not before


@pytest.mark.parametrize(
    ("graph", "reason", "sentence"),
    [
        pytest.param(
            None, "SecretMissing",
            "Secret 'graph' does not exist; create it with the key url (until then pods that need it can't start)",
            id="missing",
        ),
        pytest.param(
            secret("graph", uri=STORE_URL), "SecretIncomplete",
            "Secret 'graph' has no key url; add it (until then pods that need it can't start)", id="incomplete",
        ),
        pytest.param(secret("graph", url="http://g/query"), "SecretInvalid", "updateUrl is needed", id="invalid"),
    ],
)  # fmt: skip
async def test_a_graph_store_that_is_not_known_is_said_and_stops_nothing(
    rig: Rig, graph: dict[str, Any] | None, reason: str, sentence: str
) -> None:
    if graph is not None:
        await rig.server.put(core("ns", "secrets"), graph)
    await rig.roster.seen(jobqueue(jobTypes=[GRAPH]))
    assert rig.engine.served["ns/jq"].stores == {}
    assert rig.fault is None
    notice = rig.roster.entries["ns", "jq"].notice
    assert notice is not None
    assert notice.reason == reason
    assert sentence in notice.sentence


async def test_a_graph_secret_that_may_not_be_read_is_said_with_the_value_to_set(rig: Rig) -> None:
    await rig.roster.seen(jobqueue())
    allowed = rig.api.secret

    async def refuse(namespace: str, name: str) -> dict[str, str] | None:
        if name == "graph":
            raise KubeRefusedError(403, "Forbidden", "no")
        return await allowed(namespace, name)

    rig.api.secret = refuse  # type: ignore[method-assign]
    await rig.roster.seen(jobqueue(generation=2, jobTypes=[GRAPH]))
    assert rig.engine.told == ["put ns/jq", "put ns/jq"]
    notice = rig.roster.entries["ns", "jq"].notice
    assert notice is not None
    assert notice.reason == "SecretForbidden"
    assert notice.sentence == (
        "Secret 'graph' may not be read; name it in the chart's graphSecrets "
        "(attempts that die leave no record in the graph)"
    )


PLAIN = {"name": "t", "runner": "plain", "image": "i"}


@pytest.mark.parametrize(
    ("minor", "served"),
    [
        pytest.param("28", False, id="too-old"),
        pytest.param("28+", False, id="too-old-as-some-vendors-write-it"),
        pytest.param("29", True, id="just-new-enough"),
        pytest.param("34+", True, id="new"),
        pytest.param("", True, id="it-does-not-say"),
    ],
)
async def test_a_plain_job_type_needs_native_sidecars(rig: Rig, minor: str, served: bool) -> None:
    rig.server.version = {"major": "1", "minor": minor}
    await rig.roster.seen(jobqueue(jobTypes=[PLAIN]))
    sentence = "job type 't' has runner: plain, which needs Kubernetes 1.29 (native sidecars); this cluster has 1.28"
    assert rig.fault == (None if served else ("KubernetesTooOld", sentence))
    assert ("ns/jq" in rig.engine.served) is served


async def test_the_version_is_asked_once_and_only_for_plain_job_types(rig: Rig) -> None:
    await rig.roster.seen(jobqueue())
    assert asked_version(rig) == 0
    for generation in (2, 3):
        await rig.roster.seen(jobqueue(generation=generation, jobTypes=[PLAIN]))
    assert asked_version(rig) == 1


def asked_version(rig: Rig) -> int:
    return [path for _, path, _ in rig.server.requests].count("/version")
