"""A GraphDB with a store for each job, which fails as the recorded one did: by the job that asks, never by its turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from bullpen_runner.graph import ALIKE, PROBE
from conformance.asker import JobKey, asker
from conformance.cases import Case, Fault
from conformance.triples import Triples

LONGEST: Final = ALIKE
"""Requests that a fault lasts at most. Recorded ones may never end; a few are enough to tell an outage, which ends,
from an answer that stays the same, and the job's own from the original's."""


@dataclass
class JobStore:
    """What one job finds, and leaves."""

    triples: Triples
    faults: list[Fault] = field(default_factory=list)
    """One for each request that is still to fail."""

    @classmethod
    def of(cls, case: Case) -> JobStore:
        """Fill it as the recorded one was."""
        faults = [fault for fault in case.faults for _ in range(min(fault.times, LONGEST))]
        return cls(Triples(case.seed), faults)

    def take(self, update: str) -> Fault:
        """Run an update, or fail; the answer is told as a fault, of status 204 if all went well."""
        if update == PROBE.decode():
            return Fault(204)
        if self.faults:
            return self.faults.pop(0)
        try:
            self.triples.update(update)
        except SyntaxError as error:
            return Fault(400, f"MALFORMED QUERY: {error.msg}")
        return Fault(204)


class Stores:
    """The stores of a run under one URL."""

    def __init__(self, cases: Mapping[JobKey, Case]) -> None:
        self._jobs = {job: JobStore.of(case) for job, case in cases.items()}
        self._others = JobStore(Triples())
        """Of whoever asks for no job of the run: the operator, which writes to graphs of Bullpen's own."""

    def of(self, job: JobKey | None) -> JobStore:
        """The store of a job."""
        return self._jobs.get(job, self._others) if job else self._others

    def strays(self) -> frozenset[str]:
        """Results that nobody could be found for: with any of them, the run proves nothing."""
        return self._others.triples.lines(exact=False)

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve them all; yields the URL of the repository."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/repositories/conformance"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _handler(stores: Stores) -> type[_Handler]:
    return type("Handler", (_Handler,), {"stores": stores})


class _Handler(BaseHTTPRequestHandler):
    stores: Stores

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.path.endswith("/transactions"):
            self._send(Fault(404))  # every write in one body
            return
        job = asker(self.client_address[1], self.connection.getsockname()[1])
        answer = self.stores.of(job).take(body.decode())
        time.sleep(answer.delay_s)
        self._send(answer)

    def do_GET(self) -> None:
        self._send(Fault(200, "0"))

    def _send(self, answer: Fault) -> None:
        self.close_connection = True
        if answer.status is None:
            return
        said = b"" if answer.status == 204 else answer.body.encode()
        self.send_response(answer.status)
        if answer.status != 204:
            self.send_header("Content-Type", answer.media_type)
            self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name upstream
        pass
