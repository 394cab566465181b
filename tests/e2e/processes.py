"""Processes on the nodes, reached from outside: killed, frozen, cut off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from e2e.cluster import CONTROL_PLANE, JOBS, Cluster, run

OPERATOR = "app.kubernetes.io/component=operator"


def kill_operator(cluster: Cluster) -> None:
    """SIGKILL to the process itself; then the dead pod goes, or its next start would wait for a back-off."""
    pods = cluster.objects("pods", "-l", OPERATOR)
    [pod] = [one for one in pods if "deletionTimestamp" not in one["metadata"]]
    signal_main(cluster, CONTROL_PLANE, "KILL", "bullpen_operator")
    cluster.kubectl("delete", "pod", pod["metadata"]["name"], "--force", "--grace-period=0")


def signal_main(cluster: Cluster, node: str, signal: str, module: str) -> None:
    """Send a signal to the first process of every container of a node that runs this module."""
    cluster.on_node(
        node,
        "for p in /proc/[0-9]*; do "
        f"tr '\\0' ' ' 2>/dev/null <$p/cmdline | grep -q '^/opt/bullpen/bin/python -m {module}' "
        f"&& grep -q '^NSpid:.*[[:space:]]1$' $p/status && kill -{signal} ${{p#/proc/}}; done; true",
    )


def signal_container(cluster: Cluster, pod: str, container: str, signal: str, *, namespace: str = JOBS) -> None:
    """Send a signal to the first process of one container, found by the cgroup that has the container's id."""
    [body] = cluster.objects("pod", pod, "-n", namespace)
    statuses = [one for one in body["status"]["containerStatuses"] if one["name"] == container]
    found = statuses[0]["containerID"].rpartition("/")[2]
    sent = cluster.on_node(
        body["spec"]["nodeName"],
        f"for p in /proc/[0-9]*; do grep -qs {found} $p/cgroup && grep -qs '^NSpid:.*[[:space:]]1$' $p/status "
        f"&& kill -{signal} ${{p#/proc/}} && echo sent; done; true",
    )
    assert sent == "sent\n", f"{pod} has no such process"


@contextmanager
def cut_off(cluster: Cluster, node: str, address: str, port: int) -> Iterator[None]:
    """Drop what a pod of a node sends to a port, whatever connections it has."""
    rule = f"FORWARD -s {address} -p tcp --dport {port} -j DROP"
    cluster.on_node(node, f"iptables -I {rule}")
    try:
        yield
    finally:
        cluster.on_node(node, f"iptables -D {rule}")


@contextmanager
def paused(node: str) -> Iterator[None]:
    """Freeze a node with all that runs on it."""
    run("docker", "pause", node)
    try:
        yield
    finally:
        run("docker", "unpause", node)
