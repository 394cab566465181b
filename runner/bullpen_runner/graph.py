"""The graph store as a runner sees it: prepare a write, write it once, know whether to come again.

    store = GraphStore.from_assignment(assignment)
    prepared = store.prepare(result.write)            # pure, in either process; to_bytes()/from_bytes() for the pipe
    status = store.write(prepared, timeout_s)         # 200-299, or one of three errors

StoreAwayError: repeat after `backoff(n)`, with the fence checked again. StoreRefusedError: the job is unrecoverable.
StoreAccessError: the configuration is wrong, no attempt is spent. Nothing here repeats a write by itself.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from bullpen_processors.api import Quads, RdfGraph, UpdateText
from bullpen_protocol.assignment import Assignment, AssignmentError
from bullpen_protocol.graph_urls import update_url
from bullpen_protocol.provenance import AttemptRecord
from bullpen_runner.graph_errors import (
    Answer,
    StoreAccessError,
    StoreAwayError,
    StoreError,
    StoreFaultError,
    StoreRefusedError,
    error_of,
)
from bullpen_runner.graph_http import Endpoint
from bullpen_runner.graph_update import UnwritableError, prepare
from bullpen_runner.graph_write import PreparedWrite, Whole

__all__ = [
    "GraphStore",
    "PreparedWrite",
    "StoreAccessError",
    "StoreAwayError",
    "StoreError",
    "StoreRefusedError",
    "backoff",
]

ALIKE: Final = 3
"""Equal 5xx answers to one write before the store is asked whether it takes other writes."""

UPDATE: Final = "application/sparql-update; charset=utf-8"

PROBE: Final = b"INSERT DATA { GRAPH %b { %b } } ; DELETE DATA { GRAPH %b { %b } }" % (
    (b"<urn:bullpen:probe>", b"<urn:bullpen:probe> a <urn:bullpen:probe>") * 2
)
"""An update that goes all the way through a store and leaves nothing."""

NO_TRANSACTIONS: Final = frozenset({404, 405, 501})

Fence: TypeAlias = Callable[[], float | None]
"""Raises when a write may not be made; may return until when (`time.monotonic`) it may."""

_STATEMENTS: Final = re.compile(r"(/repositories/[^/]+)/statements$")
_DIGITS: Final = re.compile(r"\d+")


def backoff(tries: int) -> float:
    """Return the seconds to wait after the given number of failed tries: 0.5, 1, 2, 4, then 8."""
    return float(min(8.0, 0.5 * 2.0 ** min(max(tries - 1, 0), 10)))


@dataclass(slots=True)
class GraphStore:
    """A graph store's update endpoint. Remembers its 5xx answers, so that a permanent one is known as such."""

    endpoint: Endpoint
    _alike: list[tuple[PreparedWrite, str]] = field(default_factory=list, repr=False)

    @classmethod
    def from_assignment(cls, assignment: Assignment) -> GraphStore:
        """Read URL and credentials; raises AssignmentError with one sentence if they cannot be used."""
        variable, url = _update_url(assignment)
        try:
            return cls(Endpoint.of(url, assignment.graph_username, assignment.graph_password))
        except ValueError as error:
            raise AssignmentError(f"{variable} {error}") from error

    @staticmethod
    def prepare(write: Quads | UpdateText | RdfGraph) -> PreparedWrite:
        """Serialise *write*; raises StoreRefusedError for what no store may be sent."""
        try:
            return prepare(write)
        except UnwritableError as error:
            raise StoreRefusedError(str(error)) from error

    def write(
        self,
        prepared: PreparedWrite,
        timeout_s: float,
        fence: Fence | None = None,
        about: AttemptRecord | None = None,
    ) -> int:
        """Write *prepared* and what is said *about* the attempt, in one try; returns the store's status, 200 to 299.

        All or nothing, but for a large write where there are no transactions: that goes in requests of their own, and
        what is said about the attempt comes with the last one.

        *timeout_s* bounds each request. *fence* is called right before each request that makes something visible (the
        only one, a chunk, or a transaction's COMMIT) and stops it by raising; the time that it returns bounds that
        request too.
        """
        try:
            return self.write_once(prepared, timeout_s, fence, about)
        except StoreFaultError as error:
            if self._is_permanent(prepared, error, timeout_s):
                raise StoreRefusedError(f"{error}; it said so {ALIKE} times and takes other writes") from error
            raise

    def write_once(
        self,
        prepared: PreparedWrite,
        timeout_s: float,
        fence: Fence | None = None,
        about: AttemptRecord | None = None,
    ) -> int:
        """Write as `write` does, but let every 5xx count as passing."""
        if not prepared.is_large:
            return self._update(prepared.whole(about).one_body(), timeout_s, fence)
        transaction = self._begin(timeout_s)
        if transaction is not None:
            return transaction.write(prepared.whole(about), fence)
        status = 0
        for chunk in prepared.chunks(about):
            status = self._update(chunk, timeout_s, fence)
        return status

    def _update(self, body: bytes, timeout_s: float, fence: Fence | None) -> int:
        timeout_s = _held(fence, timeout_s)
        return _sent(self.endpoint, "POST", body, UPDATE, timeout_s=timeout_s).status

    def _begin(self, timeout_s: float) -> Transaction | None:
        """Open a transaction, or None where the store has none."""
        path = self.endpoint.url.path
        transactions = _STATEMENTS.sub(r"\1/transactions", path)
        if transactions == path:
            return None
        answer = self.endpoint.at(transactions).send("POST", timeout_s=timeout_s)
        if answer.status in NO_TRANSACTIONS:
            return None
        if not answer.ok or not answer.location:
            raise error_of(answer, b"")
        # Only the id counts: behind a proxy the store may call itself by another host.
        identity = answer.location.rstrip("/").rsplit("/", 1)[-1]
        return Transaction(self.endpoint.at(f"{transactions}/{identity}"), timeout_s)

    def _is_permanent(self, prepared: PreparedWrite, error: StoreFaultError, timeout_s: float) -> bool:
        """Whether the store failed ALIKE times in the same way at this write, and takes another one."""
        seen = (prepared, _DIGITS.sub("", str(error)))
        if self._alike and self._alike[-1] != seen:
            self._alike.clear()
        self._alike.append(seen)
        if len(self._alike) < ALIKE:
            return False
        with suppress(StoreError):
            return _sent(self.endpoint, "POST", PROBE, UPDATE, timeout_s=timeout_s).ok
        return False


@dataclass(frozen=True, slots=True)
class Transaction:
    """An open transaction of an RDF4J server (GraphDB's too). Nothing of it is seen before COMMIT."""

    endpoint: Endpoint
    timeout_s: float

    def write(self, whole: Whole, fence: Fence | None) -> int:
        """Send everything and commit; whatever goes wrong, the transaction is closed."""
        try:
            for update in whole.first:
                self._put("UPDATE", update, UPDATE)
            for part in whole.parts:
                self._put("ADD", part.n_quads(), "application/n-quads; charset=utf-8")
            for update in whole.last:
                self._put("UPDATE", update, UPDATE)
            return self._put("COMMIT", timeout_s=_held(fence, self.timeout_s)).status
        except BaseException:
            with suppress(StoreError):
                self.endpoint.send("DELETE", timeout_s=min(self.timeout_s, 10.0))
            raise

    def _put(
        self, action: str, body: bytes = b"", content_type: str | None = None, timeout_s: float | None = None
    ) -> Answer:
        timeout_s = self.timeout_s if timeout_s is None else timeout_s
        return _sent(self.endpoint, "PUT", body, content_type, {"action": action}, timeout_s=timeout_s)


def _held(fence: Fence | None, timeout_s: float) -> float:
    """Call *fence*; return what is left of *timeout_s* while it holds."""
    until = fence() if fence is not None else None
    if until is None:
        return timeout_s
    left = until - time.monotonic()
    if left <= 0:  # this process was stopped in between
        raise StoreAwayError("the job's lock ran out before the write was sent")
    return min(timeout_s, left)


def _sent(
    endpoint: Endpoint,
    method: str,
    body: bytes,
    content_type: str | None,
    query: Mapping[str, str] | None = None,
    *,
    timeout_s: float,
) -> Answer:
    answer = endpoint.send(method, body, content_type, query, timeout_s=timeout_s)
    if not answer.ok:
        raise error_of(answer, body)
    return answer


def _update_url(assignment: Assignment) -> tuple[str, str]:
    """Return the variable that holds the update URL, and the URL."""
    if assignment.graph_update_url:
        return "BULLPEN_GRAPH_UPDATE_URL", assignment.graph_update_url
    url = assignment.graph_url
    if not url:
        raise AssignmentError("BULLPEN_GRAPH_URL is not set, but the results have to go to a graph store")
    updates = update_url(url)
    if updates is None:
        raise AssignmentError(
            "BULLPEN_GRAPH_URL does not end in /repositories/NAME, so it is not known where updates go;"
            " set BULLPEN_GRAPH_UPDATE_URL as well"
        )
    return "BULLPEN_GRAPH_URL", updates
