"""What a processor is: the contract between the code of one job type and the runner that calls it.

A processor knows a payload and nothing else: no queue, no cluster, no environment, no clock, no network. What it needs
of the world outside it asks for through the ports of its Context.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import pyoxigraph as ox

Json: TypeAlias = Any
"""What json.loads gives: dict, list, str, int, float, bool or None."""


class UnusableInputError(ValueError):
    """The payload can never be processed: the job fails at once, whatever attempts it has left.

    The message becomes the job's failedReason and is read by people: one sentence, no payload in it.
    """


class SettingsError(ValueError):
    """A setting of the job type is wrong: no fault of the job, which is given back until the JobQueue is mended.

    The message is one sentence that names the setting and says what was expected.
    """


@dataclass(frozen=True, slots=True)
class Resource:
    """What a write owns in a named graph: `iri`, and each subject linked below it that starts with `iri` + ":"."""

    graph: str
    iri: str


@dataclass(frozen=True, slots=True)
class Quads:
    """Results. All of `replaces` and `findings` goes and `quads` come in one update: twice leaves the same graph."""

    quads: Sequence[ox.Quad]
    replaces: Sequence[Resource] = ()
    findings: Sequence[Resource] = ()
    """What this job found: each is replaced like the others, with the triples of its graph that have it as object.

    Each is linked to the job in the graph. When a later attempt of the job no longer names it, it is removed, unless
    another job found it too.
    """
    adds: Sequence[str] = ()
    """IRIs of properties of findings to which values are added only: what other jobs said with them stays."""


@dataclass(frozen=True, slots=True)
class UpdateText:
    """SPARQL Update that is sent exactly as it is. A lost answer means that it may be sent again (at least once)."""

    text: str


class RdfGraph(Protocol):
    """An rdflib Graph or Dataset as results; rdflib itself is nothing that Bullpen's runner needs.

    A graph whose identifier is an IRI is added to that named graph. One without, and a Dataset's default graph, become
    the job's own graph, `<job>:results`, which is replaced whole. Blank nodes are refused.
    """

    @property
    def identifier(self) -> Any:
        """IRI or blank node."""

    def __len__(self) -> int:
        """Triples."""


@dataclass(frozen=True, slots=True)
class StoreAnswer:
    """What the graph store said to the write."""

    status: int
    """HTTP status of the (last) request, 200-299."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came out: the job's return value, and what has to be in the graph before the job may complete.

    With `finish`, the value is made from the store's answer instead; it is called in the process of the processor.
    """

    value: Json = None
    write: Quads | UpdateText | RdfGraph | None = None
    finish: Callable[[StoreAnswer], Json] | None = None


class Report(Protocol):
    """How a processor tells people how far it is. Both are best effort and never raise."""

    def progress(self, value: float | Mapping[str, Json]) -> None:
        """Set the job's progress: 0 to 100 is drawn as a bar by dashboards, an object is shown as it is."""

    def log(self, line: str) -> None:
        """Append a line to the job's log in Redis and to the pod's log."""


class NoAnswerError(Exception):
    """No whole answer came from the network: one sentence says why, without the URL's query and without any secret."""


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """What a server said, whatever it is."""

    status: int
    body: bytes = b""
    """Decoded (gzip), as long as `limit_bytes` allowed."""
    retry_after_s: float | None = None
    """Its Retry-After, where it named seconds."""
    content_type: str = ""
    """As it was sent."""


@dataclass(frozen=True, slots=True)
class AllowPolicy:
    """Where an address that somebody else wrote may lead: to public addresses over these schemes, no further."""

    schemes: tuple[str, ...] = ("https", "http")
    hosts: tuple[str, ...] = ()
    """Names, or `*.` and a name for all below it; empty: any."""
    networks: tuple[str, ...] = ()
    """CIDRs that are allowed besides public addresses: a site under test may be no public one."""
    redirects: int = 5


class Web(Protocol):
    """HTTP, as far as the runner's pod may speak it."""

    def get(
        self, url: str, /, *, secret_headers: Mapping[str, str] | None = None, timeout_s: float, limit_bytes: int
    ) -> WebAnswer:
        """Ask once; *timeout_s* bounds all of it, an answer above *limit_bytes* is none. Redirects are not followed.

        *secret_headers*: header -> name of the environment variable with its value, where `holds` says that there is
        one; the processor never sees it. Raises NoAnswerError.
        """

    def fetch(self, url: str, policy: AllowPolicy, /, *, timeout_s: float, limit_bytes: int) -> WebAnswer:
        """Get what an untrusted address leads to, redirects included, as far as *policy* goes; raises NoAnswerError."""

    def holds(self, secret: str, /) -> bool:
        """Tell whether the environment has a variable of that name that is not empty."""


class Commons(Protocol):
    """What all jobs of a Redis have in common, whichever pod they run in. Nothing here raises.

    While Redis is away nothing is remembered and no turn is given.
    """

    def recall(self, key: str, patience_s: float, /) -> str | None:
        """Return what was remembered. None: it is for the caller to find out, and others that ask wait for it.

        Who waits longer than *patience_s* for another job's answer gets None as well.
        """

    def remember(self, key: str, text: str | None, seconds: float = 0, /) -> None:
        """Keep *text* for so long; None: it could not be found out, somebody else may try.

        Text that is empty, or longer than 8 Mi characters, is not kept.
        """

    def take_turn(self, name: str, limit: int, window_s: float, patience_s: float, /) -> bool:
        """Wait for one of *limit* turns; False when none came within *patience_s*.

        A turn that was taken is free again *window_s* after `end_turn`, so that whatever was done within it happened
        at most *limit* times in any *window_s*. Of a process that died it is free after the longest of both.
        """

    def end_turn(self, name: str, /) -> None:
        """Say that what the last turn was taken for has happened."""

    def hold_off(self, name: str, seconds: float, /) -> None:
        """Let nobody have a turn for so long: the other side asked for it."""


class NoWeb:
    """The Web of whoever was given none."""

    def get(self, *_where: Any, **_how: Any) -> WebAnswer:
        """Raise NoAnswerError."""
        raise NoAnswerError("there is no network here")

    fetch = get

    def holds(self, _secret: str) -> bool:
        """Hold nothing."""
        return False


class NoCommons:
    """The Commons of whoever is alone: nothing is remembered, and every turn is free."""

    def recall(self, _key: str, _patience_s: float) -> None:
        """Know nothing."""

    def remember(self, _key: str, _text: str | None, _seconds: float = 0) -> None:
        """Forget it."""

    def take_turn(self, *_what: object) -> bool:
        """Give a turn."""
        return True

    def end_turn(self, _name: str) -> None:
        """Do nothing."""

    def hold_off(self, _name: str, _seconds: float) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a processor is given besides its payload."""

    job_name: str
    report: Report
    settings: Mapping[str, Json] = field(default_factory=dict)
    """`settings` of the job type in the JobQueue (base IRIs, caps); never a secret."""
    web: Web = field(default_factory=NoWeb)
    commons: Commons = field(default_factory=NoCommons)
    now: Callable[[], float] = time.time
    """Seconds since the epoch."""


class Processor(Protocol):
    """The code of one job type. Entry points of `bullpen.processors` name classes called without arguments."""

    def process(self, payload: Json, context: Context) -> Result:
        """Turn *payload* into a result.

        Raises:
            UnusableInputError: retrying can't help.
            SettingsError: the job type's settings are wrong.
            Exception: anything else fails this attempt; the producer's `attempts` and `backoff` decide what follows.
        """
