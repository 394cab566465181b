"""The suite's cluster: plain kind, docker, helm and kubectl; made once, with every image loaded once."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from support import ROOT, require

HERE: Final = Path(__file__).resolve().parent
NAME: Final = os.environ.get("E2E_CLUSTER", "bullpen-e2e")
CONTROL_PLANE: Final = f"{NAME}-control-plane"
WORKER: Final = f"{NAME}-worker"
JOBS: Final = "jobs"
"""Namespace of the release, its JobQueues and their pods; Pod Security restricted is enforced on it."""
INFRA: Final = "infra"
PASSWORD: Final = "e2e"
"""Of the user that operator and runners are in Redis."""

_T = TypeVar("_T")


class CommandError(AssertionError):
    """A program said no, or nothing in time; the message is its own."""


def run(*command: str, stdin: str | None = None, timeout_s: float = 120, env: dict[str, str] | None = None) -> str:
    """Run a program to its end and return what it wrote to stdout."""
    try:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env=os.environ | (env or {}),
            cwd=ROOT,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{' '.join(command)[:200]}: nothing within {timeout_s:g} s") from error
    if done.returncode:
        raise CommandError(
            f"{' '.join(command)[:200]}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
        )
    return done.stdout


def until(what: str, seconds: float, check: Callable[[], _T | None]) -> _T:
    """Ask until the answer is true, and return it."""
    deadline = time.monotonic() + seconds
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}; last answer: {answer!r}")
        time.sleep(0.1)


def until_equal(what: str, seconds: float, ask: Callable[[], _T], wanted: _T) -> None:
    """Ask until the answer is exactly the wanted one."""
    deadline = time.monotonic() + seconds
    while (answer := ask()) != wanted:
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}: {wanted!r}; last: {answer!r}")
        time.sleep(0.1)


@dataclass
class Clock:
    """How long each step took; printed at the end."""

    steps: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.steps.append((name, time.monotonic() - began))


class Cluster:
    """A running cluster with the operator installed."""

    def __init__(self, kubeconfig: Path, namespace: str = JOBS) -> None:
        self._env = {"KUBECONFIG": str(kubeconfig)}
        self.kubeconfig = kubeconfig
        self.namespace = namespace
        self.redis_url = ""
        self.graph_url = ""

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout_s: float = 120) -> str:
        """Run kubectl; in the namespace of the jobs unless the arguments say otherwise."""
        place = () if {"-n", "-A", "--raw"} & set(arguments) else ("-n", self.namespace)
        return run("kubectl", *place, *arguments, stdin=stdin, timeout_s=timeout_s, env=self._env)

    def objects(self, *arguments: str) -> list[dict[str, Any]]:
        """Get objects as JSON."""
        found = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        items: list[dict[str, Any]] = found.get("items", [found])
        return items

    def apply(self, *bodies: dict[str, Any]) -> None:
        """Apply objects, each in the namespace that it names."""
        listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(bodies)})
        run("kubectl", "apply", "-f", "-", stdin=listed, env=self._env)

    def remove(self, *bodies: dict[str, Any]) -> None:
        """Delete objects that may be gone already, and don't wait for it."""
        listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(bodies)})
        run("kubectl", "delete", "--ignore-not-found", "--wait=false", "-f", "-", stdin=listed, env=self._env)

    def helm(self, *arguments: str, stdin: str | None = None) -> str:
        """Run helm; in the namespace of the jobs unless the arguments say otherwise."""
        place = () if "--namespace" in arguments else ("--namespace", self.namespace)
        return run("helm", *place, *arguments, stdin=stdin, env=self._env, timeout_s=330)

    def elsewhere(self, namespace: str) -> Cluster:
        """Make the same cluster's other namespace, restricted as that of the jobs, and speak to that."""
        other = Cluster(self.kubeconfig, namespace)
        other.redis_url, other.graph_url = self.redis_url, self.graph_url
        other.apply(_namespace(namespace), *_secrets(namespace))
        return other

    def shell(self, script: str, *, stdin: str | None = None) -> str:
        """Run a shell script of this machine against the cluster."""
        return run("sh", "-c", script, stdin=stdin, env=self._env)

    def on_node(self, node: str, script: str) -> str:
        """Run a shell script on a node."""
        return run("docker", "exec", node, "sh", "-c", script)


def made(kubeconfig: Path, clock: Clock) -> Cluster:
    """Make the cluster, build and load the images, install everything."""
    for part in ("docker", "kind", "kubectl", "helm"):
        require(part)
    cluster = Cluster(kubeconfig)
    with ThreadPoolExecutor() as pool, _tags_of_ours():
        building = pool.submit(_build, clock)
        _create(cluster, clock)
        images = building.result()
        with clock.step("load images"):
            run("kind", "load", "docker-image", *images, "--name", NAME, timeout_s=300)
    with clock.step("install"):
        _install(cluster)
    return cluster


@contextmanager
def _tags_of_ours() -> Iterator[None]:
    """Keep the suites of other clones on this machine from moving a tag between its build and its load."""
    with (Path(tempfile.gettempdir()) / "bullpen-e2e.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def removed() -> None:
    """Delete the cluster."""
    run("kind", "delete", "cluster", "--name", NAME)


def _create(cluster: Cluster, clock: Clock) -> None:
    if NAME in run("kind", "get", "clusters").split():
        cluster.kubeconfig.write_text(run("kind", "get", "kubeconfig", "--name", NAME))
        cluster.on_node(CONTROL_PLANE, ": >/var/log/bullpen-audit/audit.log")
    else:
        image = os.environ.get("KIND_NODE_IMAGE")
        command = ["kind", "create", "cluster", "--name", NAME, "--config", str(HERE / "kind.yaml"), "--wait", "180s"]
        command += ["--kubeconfig", str(cluster.kubeconfig), *(["--image", image] if image else [])]
        with clock.step("create cluster"):
            run(*command, timeout_s=400)
    cluster.redis_url = f"redis://{_published(30379)}"
    cluster.graph_url = f"http://{_published(30808)}/repositories/bullpen"


def _published(port: int) -> str:
    return run("docker", "port", CONTROL_PLANE, f"{port}/tcp").split()[0]


def _build(clock: Clock) -> Sequence[str]:
    """Build every image; those that are FROM the runner's after it, the others beside it."""

    def build(tag: str, *arguments: str) -> str:
        with clock.step(f"build {tag}"):
            run("docker", "build", "-q", "-t", f"bullpen-{tag}:e2e", *arguments, timeout_s=900)
        return f"bullpen-{tag}:e2e"

    base = ("--build-arg", "BASE=bullpen-runner:e2e")
    root, images = str(ROOT), HERE / "images"
    with ThreadPoolExecutor(2) as pool:
        redis = pool.submit(build, "redis", str(images / "redis"))
        runner = build("runner", "-f", str(ROOT / "Dockerfile.runner"), root)
        demo = build("demo", *base, str(ROOT / "examples" / "bullpen-demo-processors"))
        graph = build("graph", *base, "-f", str(images / "graph" / "Dockerfile"), root)
        operator = build("operator", "-f", str(ROOT / "Dockerfile.operator"), root)
        return runner, demo, graph, operator, redis.result(), _pulled("debian:bookworm-slim")


def _pulled(image: str) -> str:
    """Have an image of somebody else's on this machine: that of examples/plain."""
    if not run("docker", "image", "ls", "-q", image).strip():
        run("docker", "pull", "-q", image, timeout_s=300)
    return image


def _install(cluster: Cluster) -> None:
    cluster.kubectl("uncordon", WORKER)
    cluster.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": INFRA}},
        _namespace(JOBS),
    )
    cluster.apply(_redis_users())
    cluster.kubectl("-n", INFRA, "apply", "-f", str(HERE / "infrastructure.yaml"))
    cluster.apply(*_secrets(JOBS))
    # helm installs CRDs once and never again: a cluster that was kept gets today's
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "charts" / "bullpen" / "crds"))
    cluster.helm("upgrade", "--install", "bp", str(ROOT / "charts" / "bullpen"), "-f", str(HERE / "values.yaml"))
    cluster.kubectl("delete", "pod", "-l", "app.kubernetes.io/component=operator", "--grace-period=1")
    cluster.kubectl("-n", INFRA, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=90s")
    cluster.kubectl("rollout", "status", "deploy/bp-bullpen", "--timeout=90s")


def _redis_users() -> dict[str, Any]:
    """Make operator and runners the user of the shipped file; the suite itself, its producers too, is anybody."""
    shipped = (ROOT / "manifests" / "redis-users.acl").read_text().replace(">CHANGE-ME", f">{PASSWORD}")
    users = f"{shipped}user default on nopass ~* &* +@all\n"
    metadata = {"name": "redis-users", "namespace": INFRA}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"users.acl": users}}


def _namespace(name: str) -> dict[str, Any]:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _secrets(namespace: str) -> tuple[dict[str, Any], ...]:
    values = {
        "redis": {"url": f"redis://bullpen:{PASSWORD}@redis.{INFRA}:6379"},
        "graph": {"url": f"http://graph.{INFRA}:8080/repositories/bullpen"},
    }
    return tuple(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "stringData": one}
        for name, one in values.items()
    )
