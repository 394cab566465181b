"""techstack-analyze in pods: the key comes from a Secret, and jobs share what one of them found out."""

from __future__ import annotations

import json
from typing import Any, Final

import yaml

from e2e.cluster import INFRA, JOBS, Cluster
from e2e.queues import Queues
from support import ROOT

KEY: Final = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
_SERVE: Final = """\
import sys, threading
sys.path.insert(0, "/fake")
from nvd import FakeNvd, cpe, record
items = [record("CVE-2021-23017", "", cpe("f5", "nginx", versionStartIncluding="0.6.18", versionEndExcluding="1.20.1"))]
with FakeNvd(items, key=sys.argv[1], asks_for_key=True).served("0.0.0.0", 8080):
    threading.Event().wait()
"""


def fake_nvd(cluster: Cluster) -> str:
    """Run a fake NVD that refuses whoever has not the key; returns its URL."""
    fake = (ROOT / "tests" / "fakes" / "nvd.py").read_text()
    container = {
        "name": "nvd", "image": "bullpen-runner:e2e", "command": ["/opt/bullpen/bin/python", "-c", _SERVE, KEY],
        "volumeMounts": [{"name": "fake", "mountPath": "/fake"}],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
    }  # fmt: skip
    metadata = {"name": "nvd", "namespace": INFRA, "labels": {"app": "nvd"}}
    volumes = [{"name": "fake", "configMap": {"name": "nvd"}}]
    bodies = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"nvd.py": fake}},
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata,
            "spec": {"containers": [container], "volumes": volumes},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": {"app": "nvd"}, "ports": [{"port": 8080}]},
        },
    ]
    applied = json.dumps({"apiVersion": "v1", "kind": "List", "items": bodies})
    cluster.kubectl("-n", INFRA, "apply", "-f", "-", stdin=applied)
    cluster.kubectl("-n", INFRA, "wait", "--for=condition=Ready", "pod/nvd", "--timeout=90s")
    return f"http://nvd.{INFRA}:8080/rest/json/cves/2.0"


def job_types(nvd: str) -> list[dict[str, Any]]:
    """Take the job type of the manifest as it is shipped; only NVD, memory and the graph are the suite's."""
    spec = yaml.safe_load((ROOT / "manifests" / "jobqueue-techstack.yaml").read_text())["spec"]
    resources = {"limits": {"memory": "256Mi"}, "requests": {"cpu": "10m", "memory": "64Mi"}}
    more = {"settings": {"nvdUrl": nvd}, "graph": {"secretRef": {"name": "graph"}}, "resources": resources}
    return [{**job_type, **more} for job_type in spec["jobTypes"]]


def test_the_key_of_a_secret_reaches_nvd_and_is_nowhere_else(cluster: Cluster, queues: Queues) -> None:
    nvd = fake_nvd(cluster)
    without = queues.serve("techstack-without", job_types(nvd))
    payload = {"technologies": [{"name": "nginx", "version": "1.18.0"}]}
    first = without.add("techstack-analyze", payload)
    without.until_counts(120, completed=1)
    assert json.loads(without.job(first)["returnvalue"])["result"]["lookups"] == "failed"

    secret = {"name": "ontoweb-nvd", "namespace": JOBS}
    cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": secret, "stringData": {"api-key": KEY}})
    queue = queues.serve("techstack", job_types(nvd))
    ids = [queue.add("techstack-analyze", payload) for _ in range(2)]
    queue.until_counts(120, completed=2)
    for job_id in ids:
        result = json.loads(queue.job(job_id)["returnvalue"])["result"]
        assert result["lookups"] == "complete"
        assert [finding["id"] for finding in result["findings"]] == ["tech:nginx:1.18.0:CVE-2021-23017"]
        queue.until_ended(job_id)  # the kubelet tells of a pod, and lets its log be read, later than BullMQ
    pods = cluster.objects("pods", "-l", "bullpen.dev/queue=techstack")
    logs = [cluster.kubectl("logs", pod["metadata"]["name"]) for pod in pods]
    assert len(logs) == 2
    seen = json.dumps([pods, cluster.objects("jobs")]) + "".join(logs) + json.dumps(queue.job(ids[0]))
    assert KEY not in seen
