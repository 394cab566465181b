"""The operator's surroundings in a cluster: environment, metrics, probes, logs, kopf's settings."""

from __future__ import annotations

import io
import json
import logging
from typing import Any, cast

import aiohttp
import pytest

from bullpen_operator import logs
from bullpen_operator.allowed import Allowed
from bullpen_operator.engine import QueueStatus
from bullpen_operator.events import Event, EventKind
from bullpen_operator.handlers import kopf_settings, registry_for
from bullpen_operator.metrics import Metrics
from bullpen_operator.probes import Probes
from bullpen_operator.roster import Roster
from bullpen_operator.settings import Settings, SettingsError, from_environment
from bullpen_protocol.forwarding.entries import Target


def test_the_environment_is_read_once_with_defaults() -> None:
    settings = from_environment({}, own_namespace="ns\n")
    assert settings == Settings(("ns",), own_namespace="ns")


def test_every_variable_of_the_chart_is_read() -> None:
    settings = from_environment(
        {
            "BULLPEN_NAMESPACES": "a, b,a",
            "BULLPEN_RUNNER_IMAGE": "runner:1",
            "BULLPEN_IMAGE_PULL_POLICY": "Never",
            "BULLPEN_IMAGE_PULL_SECRETS": "s",
            "BULLPEN_AUDIT_INTERVAL_S": "5",
            "BULLPEN_STATUS_INTERVAL_S": "0.5",
            "BULLPEN_RESYNC_INTERVAL_S": "7",
            "BULLPEN_STALE_AFTER_S": "8",
            "BULLPEN_HTTP_PORT": "9",
            "BULLPEN_LEASE": "bullpen",
            "BULLPEN_OWN_NAMESPACE": "own",
            "BULLPEN_API_RATE": "10",
            "BULLPEN_API_BURST": "20",
            "BULLPEN_PODLESS_LIMIT": "30",
            "BULLPEN_ALLOWED_IMAGES": "i/*",
            "BULLPEN_ALLOWED_SERVICE_ACCOUNTS": "",
            "BULLPEN_ALLOWED_VOLUMES": "emptyDir,secret",
            "BULLPEN_ALLOWED_NODE_SELECTORS": "*",
            "LOG_LEVEL": "debug",
            "LOGS_WS_URL": "http://h/logs",
            "LOG_COALESCE_WINDOW_MS": "500",
        }
    )
    allowed = Allowed(("i/*",), (), ("emptyDir", "secret"), ("*",))
    rest = (5.0, 0.5, 7.0, 8.0, 10.0, 20.0, 30, allowed, "bullpen", "own", Target("http://h/logs", "/logs", 0.5))
    assert settings == Settings(("a", "b"), "runner:1", "Never", ("s",), 9, "DEBUG", *rest)


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        pytest.param({}, "BULLPEN_NAMESPACES is not set", id="no-namespace"),
        pytest.param(
            {"BULLPEN_NAMESPACES": "a", "BULLPEN_LEASE": "x"}, "BULLPEN_OWN_NAMESPACE is not", id="lease-nowhere"
        ),
        pytest.param({"BULLPEN_AUDIT_INTERVAL_S": "often"}, "BULLPEN_AUDIT_INTERVAL_S is 'often'", id="no-number"),
        pytest.param({"BULLPEN_AUDIT_INTERVAL_S": "nan"}, "expected a number above 0", id="nan"),
        pytest.param({"LOGS_WS_URL": "logs"}, "LOGS_WS_URL is no URL of a log server", id="log-server"),
        pytest.param({"BULLPEN_IMAGE_PULL_POLICY": "maybe"}, "expected Always, IfNotPresent or Never", id="policy"),
    ],
)
def test_a_wrong_environment_is_one_sentence(environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        from_environment(environment, own_namespace=None if not environment or "BULLPEN_LEASE" in environment else "ns")
    assert sentence in str(caught.value)


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_transitions_are_counted_by_jobqueue_and_code() -> None:
    metrics = Metrics()
    events = [
        Event(EventKind.CLAIMED, "ns/jq"),
        Event(EventKind.CLAIMED, "ns/jq"),
        Event(EventKind.SETTLED, "ns/jq", outcome="failed"),
        Event(EventKind.GIVEN_BACK, "ns/jq", code="evicted"),
        Event(EventKind.DRIFT, "ns/jq", code="not-recorded"),
        Event(EventKind.AWAY, "ns/jq", code="redis"),
        Event(EventKind.STARTED, "ns/jq"),
    ]
    for event in events:
        metrics.report(event)
    assert sample(metrics, "bullpen_claims_total", jobqueue="ns/jq") == 2
    assert sample(metrics, "bullpen_settled_total", jobqueue="ns/jq", outcome="failed") == 1
    assert sample(metrics, "bullpen_given_back_total", jobqueue="ns/jq", reason="evicted") == 1
    assert sample(metrics, "bullpen_drift_total", jobqueue="ns/jq", kind="not-recorded") == 1
    assert sample(metrics, "bullpen_outages_total", jobqueue="ns/jq", what="redis") == 1


def test_queues_and_slots_are_shown_as_they_are() -> None:
    metrics = Metrics()
    metrics.show([QueueStatus("ns/jq", "q", 10, 1, 2, (), {"wait": 3}, degraded="x")])
    assert sample(metrics, "bullpen_slots", jobqueue="ns/jq", state="free") == 7
    assert sample(metrics, "bullpen_jobs", jobqueue="ns/jq", state="wait") == 3


def test_a_jobqueue_that_is_not_served_is_judged_and_one_that_is_gone_is_forgotten() -> None:
    metrics = Metrics()
    metrics.show([QueueStatus("ns/gone", "q", 10, 1, 2, (), {"wait": 3}, undelivered=1)])
    metrics.judge({"ns/gone": (True, False), "ns/jq": (False, True)})
    assert [sample(metrics, f"bullpen_{name}", jobqueue="ns/jq") for name in ("ready", "degraded")] == [0, 1]
    metrics.show([])
    metrics.judge({"ns/jq": (True, False)})
    assert [sample(metrics, f"bullpen_{name}", jobqueue="ns/jq") for name in ("ready", "degraded")] == [1, 0]
    assert b"ns/gone" not in metrics.text()


async def test_healthy_is_an_operator_whose_loops_turn() -> None:
    ages = {"audit": 1.0}
    probes = Probes(Metrics(), lambda: ages, stale_after_s=10)
    port = await probes.start(0, "127.0.0.1")
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
        async with client.get("/healthz") as answer:
            assert (answer.status, await answer.text()) == (200, "audit ok 1s\n")
        ages["audit"] = 11.0
        async with client.get("/healthz") as answer:
            assert (answer.status, await answer.text()) == (503, "audit stale 11s\n")
        async with client.get("/metrics") as answer:
            assert 'bullpen_loop_age_seconds{loop="audit"} 11.0' in await answer.text()
    await probes.stop()


def test_a_log_line_is_one_json_object_in_the_usual_order() -> None:
    stream, root = io.StringIO(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        logs.configure("info", stream)
        logging.getLogger("bullpen").info("claimed", extra={"job_id": "7"})
        logging.getLogger("kopf.objects").info("of no use")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    [line] = stream.getvalue().splitlines()
    assert list(json.loads(line)) == ["ts", "level", "ns", "msg", "job_id"]
    assert json.loads(line)["ns"] == "bullpen"


def test_kopf_can_neither_hang_on_a_dead_watch_nor_write_into_objects() -> None:
    settings = kopf_settings()
    assert isinstance(settings.watching.server_timeout, int), "the API server refuses 300.0"
    assert None not in (settings.watching.client_timeout, settings.watching.connect_timeout)
    assert settings.watching.inactivity_timeout > 60, "bookmarks come once a minute"
    assert settings.networking.enforce_retry_after
    assert settings.scanning.disabled
    assert not settings.posting.enabled


class Heard:
    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []

    async def seen(self, body: dict[str, dict[str, str]]) -> None:
        self.calls.append(("seen", body["metadata"]["name"]))

    async def gone(self, namespace: str, name: str, uid: str) -> None:
        self.calls.append(("gone", namespace, name, uid))


async def test_the_handler_translates_and_delegates() -> None:
    heard = Heard()
    # kopf offers no public way to its handlers
    registry: Any = registry_for(cast(Roster, heard))
    [handler] = registry._watching._handlers
    body = {"metadata": {"namespace": "ns", "name": "jq", "uid": "u"}}
    for kind in (None, "ADDED", "MODIFIED", "DELETED"):
        await handler.fn(event={"type": kind, "object": body})
    assert heard.calls == [("seen", "jq")] * 3 + [("gone", "ns", "jq", "u")]
    assert not registry._changing._handlers, "these would write finalizers"
