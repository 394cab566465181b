"""Redis in its other forms, for tests: a cluster, a master under Sentinel, a server with TLS."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import redis

from servers.redis import RedisServer, free_port
from support import require_found

START_TIMEOUT_S = 30.0


@contextlib.contextmanager
def cluster_behind(announce: Callable[[int], int]) -> Iterator[RedisServer]:
    """Run a cluster of one node that tells clients to come to the port that *announce* makes of its own."""
    server = RedisServer(options=_with_bus({"cluster-enabled": "yes", "cluster-config-file": "nodes.conf"}))
    server.options["cluster-announce-port"] = str(announce(server.port))
    with server, redis.Redis.from_url(server.url, decode_responses=True) as client:
        client.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
        _until(lambda: _knows_all(client, 1), "the cluster")
        yield server


@contextlib.contextmanager
def cluster(nodes: int = 3) -> Iterator[list[RedisServer]]:
    """Run a cluster of masters that share the slots evenly."""
    options = {"cluster-enabled": "yes", "cluster-node-timeout": "2000", "cluster-config-file": "nodes.conf"}
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(RedisServer(options=_with_bus(options))) for _ in range(nodes)]
        clients = [stack.enter_context(redis.Redis.from_url(server.url, decode_responses=True)) for server in servers]
        slots = 16384
        for number, client in enumerate(clients):
            first, last = slots * number // nodes, slots * (number + 1) // nodes - 1
            client.execute_command("CLUSTER", "ADDSLOTS", *range(first, last + 1))
            bus = int(client.config_get("cluster-port")["cluster-port"])
            clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", servers[number].port, bus)
        for client in clients:
            _until(lambda client=client: _knows_all(client, nodes), "the cluster")  # type: ignore[misc]
        yield servers


def _with_bus(options: dict[str, str]) -> dict[str, str]:
    return {**options, "cluster-port": str(free_port())}


def _knows_all(client: Any, nodes: int) -> bool:
    info = client.execute_command("CLUSTER INFO")
    return info["cluster_state"] == "ok" and int(info["cluster_known_nodes"]) == nodes


class Sentinel:
    """One Sentinel that watches *master*; it fails over after half a second, alone."""

    def __init__(self, master: RedisServer) -> None:
        self.port = free_port()
        self.config = master.folder / "sentinel.conf"  # Sentinel writes into it
        self.config.write_text(
            f"bind 127.0.0.1\nport {self.port}\ndir {master.folder}\nlogfile {master.folder}/sentinel.log\n"
            f"sentinel monitor the-master 127.0.0.1 {master.port} 1\n"
            "sentinel down-after-milliseconds the-master 500\nsentinel failover-timeout the-master 5000\n"
        )
        self._process = subprocess.Popen(
            [master.program, str(self.config), "--sentinel"], stdin=subprocess.DEVNULL, start_new_session=True
        )
        self.client = redis.Redis(port=self.port, decode_responses=True)
        self.await_master(master.port)

    def await_replicas(self, count: int) -> None:
        """Wait until it has found the replicas of the master."""
        _until(lambda: len(self.client.sentinel_slaves("the-master")) == count, "Sentinel's replicas")

    def await_master(self, port: int) -> None:
        """Wait until the master is at *port*."""
        _until(lambda: self._master() == str(port), "the failover")

    def _master(self) -> str:
        client: Any = self.client
        return str(client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", "the-master")[1])

    def close(self) -> None:
        """End it."""
        self.client.close()
        self._process.kill()
        self._process.wait()


def tls_options(folder: Path, port: int) -> dict[str, str]:
    """Make an authority (ca.pem) and a certificate for 127.0.0.1 in *folder*; returns the lines for redis.conf."""
    openssl = require_found("openssl", shutil.which("openssl"), "apt-get install openssl")
    request = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    request += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "ca.pem"]
    subprocess.run(request, cwd=folder, check=True, capture_output=True)
    return {
        "tls-port": str(port),
        "tls-cert-file": str(folder / "ca.pem"),
        "tls-key-file": str(folder / "key.pem"),
        "tls-ca-cert-file": str(folder / "ca.pem"),
        "tls-auth-clients": "no",
    }


def _until(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(redis.RedisError):
            if done():
                return
        time.sleep(0.02)
    raise RuntimeError(f"{what} did not come up")
