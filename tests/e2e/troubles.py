"""What a user sees who configured something wrong: makes each mistake on the suite's cluster and prints the transcript.

    E2E_CLUSTER=... E2E_KEEP=1 PYTHONPATH=tests python -m e2e.troubles [NAME ...]

docs/troubleshooting.md has what it printed, trimmed. Nothing is asserted here: the sentences have tests of their own.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import redis

from e2e.cluster import INFRA, JOBS, Clock, Cluster, made, run
from servers.node import NodeClient
from support import ROOT

PATIENCE_S: Final = 150
"""Everything that is believed only after a while is believed by then."""
SMALL: Final = {"limits": {"memory": "128Mi"}, "requests": {"cpu": "10m", "memory": "32Mi"}}
DEMO: Final = "bullpen-demo:e2e"
GRAPH: Final = {"secretRef": {"name": "graph"}}
HERE: Final = f"redis://redis.{INFRA}:6379"


@dataclass(frozen=True)
class Mistake:
    """A JobQueue that is wrong, what else there is, and the job that meets it."""

    job_type: dict[str, Any] = field(default_factory=dict)
    redis: dict[str, str] | None = field(default_factory=lambda: {"url": HERE})
    """The Secret of Redis; None: there is none."""
    graph: dict[str, str] | None = None
    spec: dict[str, Any] = field(default_factory=dict)
    job: str = "demo-sleep"
    data: dict[str, Any] = field(default_factory=lambda: {"seconds": 1})
    queue: str = ""


def _sleep(**more: Any) -> dict[str, Any]:
    return {"name": "demo-sleep", "image": DEMO, "resources": SMALL, **more}


def _pod(**spec: Any) -> dict[str, Any]:
    return _sleep(podTemplate={"spec": spec})


def _ingest(**graph: str) -> Mistake:
    job_type = {"name": "http-ingest", "resources": SMALL, "graph": {"secretRef": {"name": "graph-of"}}}
    payload = json.loads((ROOT / "examples" / "traffic" / "vulpy.json").read_text())
    return Mistake(job_type, graph=graph or None, job="http-ingest", data=payload)


MISTAKES: Final[dict[str, Mistake]] = {
    "secret-missing": Mistake(_sleep(), redis=None),
    "secret-incomplete": Mistake(_sleep(), redis={"uri": HERE}),
    "url-wrong": Mistake(_sleep(), redis={"url": f"http://redis.{INFRA}:6379"}),
    "host-wrong": Mistake(_sleep(), redis={"url": f"redis://nowhere.{INFRA}:6379"}),
    "password-wrong": Mistake(_sleep(), redis={"url": f"redis://bullpen:wrong@redis.{INFRA}:6379"}),
    "acl-narrow": Mistake(_sleep(), redis={"url": f"redis://narrow:right@redis.{INFRA}:6379"}),
    "image-missing": Mistake(_sleep(image="bullpen-nothing:e2e")),
    "image-no-runner": Mistake(_sleep(image="debian:bookworm-slim")),
    "env-secret-missing": Mistake(
        _sleep(env=[{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "no-such-secret", "key": "key"}}}])
    ),
    "graph-secret-missing": _ingest(),
    "graph-away": _ingest(url=f"http://nowhere.{INFRA}:8080/repositories/bullpen"),
    "graph-repository": _ingest(url=f"http://graph.{INFRA}:8080/repositories/none"),
    "processor-unknown": Mistake({"name": "demo-slep", "image": DEMO, "resources": SMALL}, job="demo-slep"),
    "name-unknown": Mistake(_sleep(), job="demo-slep"),
    "name-refused": Mistake(_sleep(), spec={"unknownJobs": "fail"}, job="demo-slep"),
    "unschedulable": Mistake(_sleep(resources={"requests": {"cpu": "64"}})),
    "account-refused": Mistake(_pod(serviceAccountName="admin")),
    "account-missing": Mistake(_pod(serviceAccountName="ghost")),
    "image-refused": Mistake(_sleep(image="somebody/miner:1")),
    "pod-security": Mistake(_pod(containers=[{"name": "runner", "securityContext": {"runAsNonRoot": False}}])),
    "host-path": Mistake(_pod(volumes=[{"name": "root", "hostPath": {"path": "/"}}])),
    "conflict": Mistake(_sleep(), queue="name-refused"),
    "suspended": Mistake(_sleep(), spec={"suspend": True}),
    "payload-invalid": Mistake({"name": "http-ingest", "resources": SMALL, "graph": GRAPH}, job="http-ingest"),
    "memory-short": Mistake(
        {"name": "demo-oom", "image": DEMO, "resources": {"limits": {"memory": "64Mi"}}},
        job="demo-oom", data={"mebibytes": 512},
    ),
    "time-short": Mistake(_sleep(timeout="2s"), data={"seconds": 60}),
    "eviction": Mistake(_sleep(), redis={"url": f"{HERE}/1"}),
    "quota": Mistake(_sleep()),
}  # fmt: skip
USERS: Final[dict[str, dict[str, Any]]] = {
    "bullpen": {"keys": ["*"], "categories": ["+@all"]},
    "narrow": {"keys": ["*"], "categories": ["+@read", "+@connection"], "commands": ["+info"]},
}
"""Of Redis; both have the password `right`."""
ALLOWED: Final = "allowed.serviceAccounts={ghost},allowed.images={bullpen-*,debian:*}"


def secret(name: str, values: dict[str, str]) -> dict[str, Any]:
    """Describe a Secret."""
    metadata = {"name": name, "namespace": JOBS}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values}


def jobqueue(name: str, mistake: Mistake) -> list[dict[str, Any]]:
    """Describe a mistake's objects."""
    text = json.dumps(mistake.job_type).replace('"graph-of"', json.dumps(f"{name}-graph"))
    spec = {"queue": mistake.queue or name, "redis": {"secretRef": {"name": f"{name}-redis"}}}
    found = [secret(f"{name}-{kind}", value) for kind, value in mistake.__dict__.items() if kind in KINDS and value]
    body = {"apiVersion": "bullpen.dev/v1alpha1", "kind": "JobQueue", "metadata": {"name": name, "namespace": JOBS}}
    return [*found, body | {"spec": spec | {"jobTypes": [json.loads(text)]} | mistake.spec}]


KINDS: Final = ("redis", "graph")
QUOTA: Final[dict[str, Any]] = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "tight", "namespace": JOBS},
    "spec": {"hard": {"requests.memory": "16Mi"}},
}


COLUMNS: Final = (
    "-o=custom-columns=NAME:.metadata.name,WAITING:.status.waiting,ACTIVE:.status.active,PODS:.status.podsRunning,"
    'PENDING:.status.podsPending,FAILED:.status.failed,READY:.status.conditions[?(@.type=="Ready")].status'
)
"""Those of `kubectl get jq` that fit a page; BLOCKED-BY follows on a line of its own."""


def transcript(cluster: Cluster, name: str, queue: str, job_id: str) -> None:
    """Print what kubectl and bullpen say."""
    [body] = cluster.objects("jq", name)
    print(f"\n=== {name}\n$ kubectl get jq {name}\n{cluster.kubectl('get', 'jq', name, COLUMNS)}", end="")
    print(f"BLOCKED-BY  {body['status'].get('blockedBy')}\n$ kubectl describe jq {name}\n...")
    for one in body["status"]["conditions"]:
        print(f"{one['type']:17} {one['status']:6} {one['reason']:16} {one.get('message', '')}")
    events = cluster.objects("events", f"--field-selector=involvedObject.name={name},involvedObject.kind=JobQueue")
    print("Events:")
    for event in sorted(events, key=lambda event: str(event["firstTimestamp"])):
        print(f"  {event['type']:8} {event['reason']:16} {event['message']}")
    url = cluster.redis_url + ("/1" if name == "eviction" else "")
    command = (sys.executable, "-m", "bullpen_cli", "job", queue, job_id, "--redis-url", url, "--log", "10")
    print(f"$ bullpen job {queue} {job_id}\n{run(*command)}", flush=True)


def main() -> int:
    """Make the mistakes, wait, print."""
    wanted = sys.argv[1:] or list(MISTAKES)
    with tempfile.TemporaryDirectory() as folder:
        cluster = made(Path(folder) / "config", Clock())
        chart, values = str(ROOT / "charts" / "bullpen"), str(ROOT / "tests" / "e2e" / "values.yaml")
        cluster.helm("upgrade", "bp", chart, "-f", values, "--set", ALLOWED)
        cluster.kubectl("rollout", "status", "deploy/bp-bullpen", "--timeout=90s")
        client = redis.Redis.from_url(cluster.redis_url)
        for user, rules in USERS.items():
            client.acl_setuser(user, enabled=True, reset=True, passwords="+right", **rules)
        node, ids = NodeClient("5.81.5"), {}
        for name in wanted:
            mistake = MISTAKES[name]
            if name == "eviction":
                client.config_set("maxmemory-policy", "allkeys-lru")
            if name == "quota":
                time.sleep(30)  # so that no other mistake meets the quota
                cluster.apply(QUOTA)
            cluster.apply(*jobqueue(name, mistake))
            queue = node.queue(cluster.redis_url, mistake.queue or name, db=1 if name == "eviction" else 0)
            ids[name] = queue.add(mistake.job, mistake.data, {"attempts": 1})
        time.sleep(PATIENCE_S)
        for name in wanted:
            transcript(cluster, name, MISTAKES[name].queue or name, ids[name])
        cluster.kubectl("delete", "quota", "tight", "--ignore-not-found")
        client.config_set("maxmemory-policy", "noeviction")
        cluster.kubectl("delete", "jq", *wanted)
        node.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
