"""A graph store that misbehaves as it is told: what it took is counted, what it answers is scripted."""

from __future__ import annotations

import re
import threading
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Act(StrEnum):
    """What happens to one request."""

    TAKE = "take"
    """Store it, answer 204."""
    LOSE = "lose"
    """Store it, cut the connection instead of answering."""
    CUT = "cut"
    """Cut the connection, store nothing."""
    HANG = "hang"
    """Read it, answer nothing until the test lets go; store nothing."""
    AWAY = "away"
    """503."""
    BROKEN = "broken"
    """500."""
    REFUSE = "refuse"
    """400, with a complaint."""
    FORBID = "forbid"
    """401."""


STATUS = {Act.TAKE: 204, Act.AWAY: 503, Act.BROKEN: 500, Act.REFUSE: 400, Act.FORBID: 401}


@dataclass
class FakeGraph:
    """One endpoint. Acts are used up write by write; then every write is taken.

    Records of attempts that come without results are no writes: they have a list and an act of their own.
    """

    acts: deque[Act] = field(default_factory=deque)
    taken: list[str] = field(default_factory=list)
    """Bodies of the writes that were stored, in order."""
    requests: int = 0
    """Writes that came, stored or not."""
    records: list[str] = field(default_factory=list)
    """Bodies of the records that were stored, in order."""
    record_act: Act = Act.TAKE
    """What happens to every record."""
    arrived: threading.Event = field(default_factory=threading.Event)
    """Set when headers of a request are there, before its body is read."""
    gate: threading.Event = field(default_factory=threading.Event)
    """While it is not set, requests wait before their body is read; set from the start."""
    stored: threading.Event = field(default_factory=threading.Event)
    """Set when a write was stored, before it is answered."""
    answer_gate: threading.Event = field(default_factory=threading.Event)
    """While it is not set, stored writes wait before they are answered; set from the start."""
    release: threading.Event = field(default_factory=threading.Event)
    """Lets go of requests that hang."""

    def __post_init__(self) -> None:
        self.gate.set()
        self.answer_gate.set()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """As a repository of RDF4J."""
        return f"http://127.0.0.1:{self._server.server_port}/repositories/test"

    def plan(self, *acts: Act) -> None:
        """Say what happens to the next requests."""
        self.acts.extend(acts)

    def next_act(self) -> Act:
        """Use up one act."""
        with self._lock:
            self.requests += 1
            return self.acts.popleft() if self.acts else Act.TAKE

    def sort(self, body: str) -> tuple[str, Act, list[str]]:
        """Return *body* with what happens to it, and where it is kept."""
        return (body, self.record_act, self.records) if is_record(body) else (body, self.next_act(), self.taken)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self.answer_gate.set()
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def is_record(update: str) -> bool:
    """Whether an update is about graphs of Bullpen's own only."""
    graphs = re.findall(r"GRAPH <([^>]*)>", update)
    return bool(graphs) and all(graph.startswith("urn:bullpen:") for graph in graphs)


def _handler(graph: FakeGraph) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            graph.arrived.set()
            graph.gate.wait(60)
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            self.close_connection = True
            if len(body) < length:
                return  # the sender gave up: nothing is stored
            self._play(*graph.sort(body.decode()))

        def _play(self, body: str, act: Act, taken: list[str]) -> None:
            if act in {Act.TAKE, Act.LOSE}:
                taken.append(body)
                graph.stored.set()
                graph.answer_gate.wait(60)
            if act is Act.HANG:
                graph.release.wait(60)
            if act in {Act.CUT, Act.LOSE, Act.HANG}:
                return
            said = b"Lexical error at line 1" if act is Act.REFUSE else b""
            self.send_response(STATUS[act])
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name upstream
            pass

    return Handler
