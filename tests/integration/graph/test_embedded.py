"""The embedded store's process: what it survives, who owns it, when it ends; and its sockets."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bullpen_operator.local.store import RunningStore, StoreUnusableError, start_store
from bullpen_processors.api import Quads, Resource, UpdateText
from bullpen_runner.graph import StoreError, StoreRefusedError
from contracts.graph_contract import quad
from servers.graph import GraphServer

TRIPLES = 20
WRITERS = 4
MODULE = "bullpen_operator.local.store"


@contextmanager
def started(folder: Path, **options: str | float) -> Iterator[RunningStore]:
    store = start_store(folder, **options)  # type: ignore[arg-type] # options of any kind
    try:
        yield store
    finally:
        store.stop()


def soon(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@dataclass
class Writers:
    """Four writers that replace graphs of 20 triples, each with its turn as value, as fast as the store takes them."""

    acknowledged: dict[str, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    turns: list[int] = field(default_factory=lambda: [0] * WRITERS)

    def run(self, url: str, kill: Callable[[], None]) -> None:
        """Write until the store is gone, which is when every writer has had 15 answers."""
        begun_at = list(self.turns)
        with ThreadPoolExecutor(WRITERS) as threads:
            for writer in range(WRITERS):
                threads.submit(self._write, writer, GraphServer("embedded", url))
            soon(lambda: all(now - begun > 15 for now, begun in zip(self.turns, begun_at, strict=True)), 120.0)
            kill()

    def _write(self, writer: int, server: GraphServer) -> None:
        store = server.store()
        while True:
            self.turns[writer] += 1
            turn = self.turns[writer]
            graph = f"urn:writer:{writer}:{turn % 7}"
            quads = [quad(graph, "urn:root", f"p{number}", str(turn)) for number in range(TRIPLES)]
            prepared = store.prepare(Quads(quads, [Resource(graph, "urn:root")]))
            self.sent[graph] = turn
            try:
                store.write(prepared, 30.0)
            except StoreError:
                return
            self.acknowledged[graph] = turn

    def check(self, url: str) -> None:
        """Every graph holds its last acknowledged turn, or the one that was under way; and all of it."""
        server = GraphServer("embedded", url)
        for graph, last in self.sent.items():
            values = [int(value) for _, _, value in server.triples(graph)]
            assert len(values) in {0, TRIPLES}, f"{graph} is partial"
            stored = values[0] if values else 0
            assert {stored} == set(values or [0]), f"{graph} is of two turns"
            assert stored in {last, self.acknowledged.get(graph, 0)}, f"{graph} lost an acknowledged write"
            self.acknowledged[graph] = stored


@pytest.mark.parametrize("durability", ["process", "disk"])
def test_kill_9_during_four_writers_loses_no_acknowledged_write(tmp_path: Path, durability: str) -> None:
    writers = Writers()
    for _ in range(3):
        with started(tmp_path, durability=durability) as store:
            writers.run(store.url, partial(os.kill, store.pid, signal.SIGKILL))
        with started(tmp_path) as again:
            assert again.url == store.url
            writers.check(again.url)


def test_sigterm_during_four_writers_loses_no_acknowledged_write_either(tmp_path: Path) -> None:
    writers = Writers()
    with started(tmp_path) as store:
        writers.run(store.url, store.stop)
    with started(tmp_path) as again:
        writers.check(again.url)


def test_a_second_start_finds_the_store_that_runs(tmp_path: Path) -> None:
    with started(tmp_path) as first:
        second = start_store(tmp_path)
        second.leave()
        assert (second.url, second.pid) == (first.url, first.pid)


def test_two_starts_at_once_end_with_one_store(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        stores = list(threads.map(lambda _: start_store(tmp_path), range(4)))
    assert len({(store.url, store.pid) for store in stores}) == 1
    for store in stores:
        store.stop()


def test_a_second_owner_is_told_where_the_store_is(tmp_path: Path) -> None:
    with started(tmp_path) as store:
        command = [sys.executable, "-m", MODULE, "--state", str(tmp_path)]
        second = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    sentence = f"the triplestore in {tmp_path} is already served at {store.url} (process {store.pid}); use that one\n"
    assert (second.returncode, second.stdout, second.stderr) == (75, "", sentence)


def test_a_folder_or_a_port_that_cannot_be_used_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnusableError, match="cannot be made"):
        start_store(tmp_path / "file")
    (tmp_path / "wrong" / "data").mkdir(parents=True)
    (tmp_path / "wrong" / "data" / "CURRENT").write_text("nonsense")
    with pytest.raises(StoreUnusableError, match="cannot be opened"):
        start_store(tmp_path / "wrong")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StoreUnusableError, match=rf"cannot listen on 127\.0\.0\.1:{port}"):
            start_store(tmp_path / "right", port)


def test_the_store_outlives_its_users_for_a_while_and_then_ends(tmp_path: Path) -> None:
    store = start_store(tmp_path, linger_s=0.2)
    assert os.getsid(store.pid) != os.getsid(0), "Ctrl-C on `bullpen local` must not reach it"
    time.sleep(1.2)  # longer than it lingers: a user is still there
    assert store.folder.is_owned()
    store.leave()
    soon(lambda: not store.folder.is_owned())
    store.stop()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store that takes bodies up to 1 MB; its repository's path after its host and port."""
    command = [sys.executable, "-m", MODULE, "--state", str(tmp_path_factory.mktemp("small")), "--max-body-mb", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as output:
        url = output.readline().strip()
    yield url
    process.terminate()
    assert process.wait(10) == 0


def raw(url: str, request: bytes) -> bytes:
    """What comes back for bytes on the wire, up to the end of the connection."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(request.replace(b"HOST", parts.netloc.encode()))
        return b"".join(iter(lambda: connection.recv(65536), b""))


def post(path: bytes, *headers: bytes, host: bytes = b"HOST") -> bytes:
    lines = [b"POST /repositories/bullpen%b HTTP/1.1" % path, b"Host: %b" % host, b"Connection: close", *headers]
    return b"\r\n".join([*lines, b"", b""])


UPDATE = b"Content-Type: application/sparql-update"


def test_a_chunked_body_is_read(small: str) -> None:
    head = post(b"", b"Content-Type: application/sparql-query", b"Accept: text/csv", b"Transfer-Encoding: chunked")
    answer = raw(small, head + b'3;a="b"\r\nASK\r\n4\r\n { }\r\n0\r\nTrailer: x\r\n\r\n')
    assert answer.endswith(b"\r\n\r\ntrue")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(post(b"/statements", UPDATE, b"Content-Length: 1000001"), b"413", id="too-long"),
        pytest.param(
            post(b"/statements", UPDATE, b"Transfer-Encoding: chunked")
            + b"80000\r\n"
            + b"x" * 0x80000
            + b"\r\n80000\r\n",
            b"413",
            id="too-long-in-chunks",
        ),
        pytest.param(post(b"/statements", UPDATE, b"Content-Length: -1"), b"400", id="negative-length"),
        pytest.param(post(b"/statements", UPDATE, b"Transfer-Encoding: chunked") + b"x\r\n", b"400", id="bad-chunk"),
        pytest.param(post(b"/statements", UPDATE, b"Content-Length: 0", b"Origin: http://evil"), b"403", id="web-page"),
        pytest.param(post(b"/statements", UPDATE, b"Content-Length: 0", host=b"evil.example"), b"403", id="rebinding"),
    ],
)
def test_a_request_that_is_not_for_us_is_turned_away(small: str, request_bytes: bytes, status: bytes) -> None:
    assert raw(small, request_bytes).startswith(b"HTTP/1.1 " + status)


def test_a_sender_of_too_much_hears_why(small: str) -> None:
    store = GraphServer("embedded", small).store()
    with pytest.raises(StoreRefusedError, match=r"413 .*larger than 1000000 bytes"):
        store.write(store.prepare(UpdateText("# " + "x" * 4_000_000)), 10.0)


def test_a_body_that_ends_early_changes_nothing(small: str) -> None:
    update = b"INSERT DATA { <urn:a> <urn:p> 1 }"
    parts = urlsplit(small)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        request = post(b"/statements", UPDATE, b"Content-Length: %d" % (len(update) + 1)) + update
        connection.sendall(request.replace(b"HOST", parts.netloc.encode()))
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert GraphServer("embedded", small).rows("SELECT * { ?s ?p ?o }") == []


def test_small_replies_do_not_wait_for_a_delayed_acknowledgement(small: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(small).netloc, timeout=10)
    took = []
    for _ in range(60):  # the kernel acknowledges the first ones at once
        begun = time.perf_counter()
        connection.request("GET", "/repositories/bullpen/size")
        assert connection.getresponse().read() == b"0"
        took.append(time.perf_counter() - begun)
    connection.close()
    assert min(took[20:]) < 0.03
