"""`sast-analyze` as the manifest for OntoWeb-PT has it, through a real `bullpen local`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import pytest
import redis
import yaml

from fakes.attempts import eventually
from fakes.pages import FINDINGS, FLOW, SLOW, generated, page
from fakes.site import Page, serve
from servers.local import BullpenLocal
from support import ROOT, require

MANIFEST: Final = ROOT / "manifests" / "jobqueue-sast.yaml"
QUEUE: Final = "bull:analyzer-writes:"
ATTEMPTS: Final = {"attempts": 2, "backoff": {"type": "fixed", "delay": 100}}


class Served:
    """A `bullpen local` with that manifest, and a queue to add to."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        require("redis-server")
        manifest = yaml.safe_load(MANIFEST.read_text())
        spec = manifest["spec"]
        spec["defaults"].update({name: value for name, value in changes.items() if name != "settings"})
        spec["jobTypes"][0]["settings"].update(changes.get("settings", {}))
        self.local = BullpenLocal(folder, yaml.safe_dump(manifest))
        self.local.start()
        self.client: redis.Redis = self.local.client()

    def add(self, job_id: str, payload: Any) -> None:
        """Add a job."""
        fields = {"name": "sast-analyze", "data": json.dumps(payload), "opts": json.dumps(ATTEMPTS), "timestamp": "1",
                  "delay": "0", "priority": "0"}  # fmt: skip
        for name, value in fields.items():
            self.client.hset(QUEUE + job_id, name, value)
        self.client.lpush(f"{QUEUE}wait", job_id)
        self.client.zadd(f"{QUEUE}marker", {"0": 0})

    def ended(self, job_id: str) -> dict[str, str]:
        """Wait for the end of a job, and return its hash."""
        eventually(lambda: self.client.hget(QUEUE + job_id, "finishedOn"), f"the end of job {job_id}")
        found: dict[str, str] = self.client.hgetall(QUEUE + job_id)  # type: ignore[assignment]
        return found

    def result(self, job_id: str) -> Any:
        """Wait for the end of a job, and return its result."""
        return json.loads(self.ended(job_id).get("returnvalue", "null"))["result"]

    def story(self, job_id: str) -> list[str]:
        """Name the events of a job in order, progress left out."""
        entries: Any = self.client.xrange(f"{QUEUE}events")
        events = [fields for _, fields in entries if fields.get("jobId") == job_id]
        return [event["event"] for event in events if event["event"] != "progress"]


@pytest.fixture
def served(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Served]:
    served = Served(tmp_path, **getattr(request, "param", {}))
    yield served
    served.client.close()
    served.local.close()


def test_findings_of_a_page_are_in_the_value_and_in_the_graph(served: Served) -> None:
    served.add("1", page(FLOW, html="<form method=get action=/x>"))
    found = served.result("1")["findings"]
    assert [finding["ruleId"] for finding in found] == ["form-method-get", "taint-flow", "no-innerhtml"]
    rows = served.local.graph().rows(FINDINGS)
    assert {unquote(row["f"]) for row in rows} == {f"urn:finding:{finding['findingId']}" for finding in found}
    assert served.story("1") == ["active", "completed"]
    assert json.loads(served.client.hget(f"{QUEUE}1", "progress") or "") == 100


@pytest.mark.parametrize("served", [{"resources": {"limits": {"memory": "160Mi"}}}], indirect=True)
def test_a_page_that_outgrows_its_memory_gets_more_with_the_next_attempt(served: Served) -> None:
    served.add("1", page(FLOW, generated(3)))
    assert "taint-flow" in [finding["ruleId"] for finding in served.result("1")["findings"]]
    assert served.story("1") == ["active", "delayed", "waiting", "active", "completed"]
    assert served.client.hget(f"{QUEUE}1", "atm") == "2"
    served.add("2", page(FLOW))
    assert served.result("2")["totalFindings"] == 2


@pytest.mark.parametrize("served", [{"timeout": "10s"}], indirect=True)
def test_a_page_over_its_timeout_fails_alone(served: Served) -> None:
    served.add("1", page(*SLOW))
    served.add("2", page(FLOW))
    assert served.result("2")["totalFindings"] == 2
    assert served.ended("1")["failedReason"] == "timed out after 10 s"
    assert served.story("1") == ["active", "delayed", "waiting", "active", "failed", "retries-exhausted"]
    assert served.story("2") == ["active", "completed"]


def test_a_script_that_the_page_names_is_fetched_where_the_settings_allow_it(tmp_path: Path) -> None:
    with serve({"/a/app.js": Page(FLOW.encode(), {"Content-Type": "text/javascript"})}) as site:
        payload = page(scripts=[{"src": "app.js"}, {"src": "//10.0.0.1/b.js"}], url=f"{site.url}/a/p")
        served = Served(tmp_path, settings={"sast.fetch": {"networks": ["127.0.0.0/8"]}})
        try:
            served.add("1", payload)
            result = served.result("1")
        finally:
            served.client.close()
            served.local.close()
    assert site.paths == ["/a/app.js"]
    assert ("taint-flow", "app.js") in [(finding["ruleId"], finding["file"]) for finding in result["findings"]]
    assert result["notFetched"] == [{"index": 1, "src": "//10.0.0.1/b.js", "reason": "10.0.0.1 is no public address"}]


RULES: Final = """\
family: shop
rules:
  - id: shop-toast
    cites: https://shop.example/docs/toast
    sinks:
      - {call: toast.show, arguments: [0], needs: [html], kind: %s}
    bad: toast.show(location.hash)
    good: toast.show('a')
"""


def test_rules_of_a_folder_are_used_and_a_wrong_one_gives_the_job_back(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "shop.yaml").write_text(RULES % "dom-xs")
    served = Served(tmp_path, settings={"sast.rules": str(rules)}, giveBack={"delay": "1s"})
    try:
        served.add("1", page("toast.show(location.hash)"))
        eventually(lambda: served.client.hget(f"{QUEUE}1", "bullpen"), "the giving back")
        told = "setting sast.rules: shop.yaml: line 6: rule shop-toast: rules.0.sinks.0.kind: Input should be "
        eventually(lambda: told in json.dumps(served.local.lines()), "the reason")
        (rules / "shop.yaml").write_text(RULES % "dom-xss")
        [found] = served.result("1")["findings"]
        assert (found["ruleId"], found["sink"]["rule"]) == ("taint-flow", "shop-toast")
        assert served.client.hget(f"{QUEUE}1", "atm") == "1"
    finally:
        served.client.close()
        served.local.close()
