"""The cluster, made once; on a failure, what it looked like then."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import redis
from _pytest.terminal import TerminalReporter
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from e2e.beside import Beside
from e2e.cluster import INFRA, JOBS, WORKER, Clock, Cluster, CommandError, made, removed
from e2e.history import JOB_ID, PodHistory
from e2e.queues import Queues
from e2e.report import RowReport
from servers.node import NodeClient
from support import ROOT

ARTEFACTS = ROOT / "artefacts" / "e2e"
KEEP = os.environ.get("E2E_KEEP") == "1"
"""Leave the cluster for the next run: for whoever writes scenarios."""

_clock = Clock()
_rows = RowReport(ARTEFACTS / "rows.txt")
_cluster: list[Cluster] = []


def pytest_configure(config: pytest.Config) -> None:
    """Have scenarios that mostly wait run beside each other, and tell of the rows that they go through."""
    config.pluginmanager.register(Beside(lambda name, seconds: _clock.steps.append((name, seconds))))
    config.pluginmanager.register(_rows)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this folder needs the cluster; the first one waits for it to be made."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(1200))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    try:
        _cluster.append(made(tmp_path_factory.mktemp("kube") / "config", _clock))
        filesystem = _cluster[0].on_node(WORKER, "stat -fc %T /sys/fs/cgroup").strip()
        _rows.cgroup = "2" if filesystem == "cgroup2fs" else "1"
        yield _cluster[0]
    finally:
        if not KEEP:
            with _clock.step("delete cluster"):
                removed()


@pytest.fixture(scope="session")
def queues(cluster: Cluster) -> Iterator[Queues]:
    retry = Retry(ConstantBackoff(0.5), 60)  # scenarios have Redis restart
    connection = redis.Redis.from_url(cluster.redis_url, decode_responses=True, retry=retry)
    if KEEP:
        cluster.kubectl("delete", "jobqueues,jobs", "--all", "--cascade=foreground")
        cluster.kubectl("delete", "pods", "-l", JOB_ID)
        connection.flushall()  # of our own pod's Redis, which has the last run's jobs
    client, history = NodeClient("5.7.0"), PodHistory(cluster)
    yield Queues(cluster, connection, client, history)
    client.forget(cluster.redis_url)
    client.close()
    history.close()
    connection.close()


@pytest.fixture
def nothing_is_forbidden(queues: Queues) -> Iterator[None]:
    """The suite runs under exactly the shipped Role, and nothing that clusters do is an error of the operator."""
    yield
    log = queues.log_of_operator()
    ours = [line for line in log if line["ns"].startswith(("bullpen", "__main__"))]
    assert [line for line in ours if line["level"] == "error"] == []
    # RBAC's words: those of quotas and policies are about pods
    assert [line for line in log if "forbidden: User" in json.dumps(line)] == []


@pytest.fixture
def worker_back(cluster: Cluster) -> Iterator[None]:
    """Let the worker take pods again."""
    yield
    cluster.kubectl("uncordon", WORKER)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _clock.steps.append((f"{report.when} {item.name}", report.duration))
    if report.failed and _cluster:
        folder = ARTEFACTS / re.sub(r"\W+", "-", item.name)
        keep_what_is_there(_cluster[0], folder)
        report.sections.append(("artefacts", str(folder)))
    return report


def keep_what_is_there(cluster: Cluster, folder: Path) -> None:
    """Write down what the cluster looks like now."""
    folder.mkdir(parents=True, exist_ok=True)
    commands = {
        "pods.txt": ("get", "-A", "nodes,pods,jobs", "-o", "wide"),
        "jobqueues.yaml": ("get", "jobqueues", "-o", "yaml"),
        "kubejobs.yaml": ("get", "jobs,pods", "-o", "yaml"),
        "describe.txt": ("describe", "pods,jobs,jobqueues"),
        "events.txt": ("get", "-A", "events", "--sort-by=.lastTimestamp"),
        "operator.log": ("logs", "deploy/bp-bullpen", "--tail=-1"),
        "operator-before.log": ("logs", "deploy/bp-bullpen", "--tail=-1", "--previous"),
        "attempts.log": ("logs", "-l", "bullpen.dev/job-id", "--tail=-1", "--prefix", "--max-log-requests=200"),
        "infra.log": ("-n", INFRA, "logs", "-l", "app", "--tail=500", "--prefix"),
        "redis.txt": ("-n", INFRA, "exec", "redis", "--", "sh", "-c", _DUMP),
    }
    for name, command in commands.items():
        try:
            text = cluster.kubectl(*command)
        except CommandError as error:
            text = str(error)
        (folder / name).write_text(text)


# no payloads: they are long, and nobody looks for them here
_DUMP = """
keys() { redis-cli --scan --pattern "$1"; }
keys 'bull:*:events' | while read -r key; do echo "== $key"; redis-cli --json xrange "$key" - + | cut -c1-100000; done
keys 'bull:*:[0-9]*' | grep -v ':logs$' | while read -r key; do
    echo "== $key"; redis-cli --json hmget "$key" name atm ats stc pb bullpen failedReason opts
done
"""


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Say what took how long."""
    terminalreporter.section(f"durations on cluster, namespace {JOBS}")
    for name, seconds in _clock.steps:
        if seconds >= 0.5:
            terminalreporter.line(f"{seconds:7.1f} s  {name}")
