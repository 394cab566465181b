"""What a processor is: the contract between the code of one job type and the runner that calls it.

A processor knows a payload and nothing else: no queue, no cluster, no environment, no clock, no network.
"""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class Context:
    """What a processor is given besides its payload."""

    job_name: str
    report: Report
    settings: Mapping[str, Json] = field(default_factory=dict)
    """`settings` of the job type in the JobQueue (base IRIs, caps); never a secret."""


class Processor(Protocol):
    """The code of one job type. Entry points of `bullpen.processors` name classes called without arguments."""

    def process(self, payload: Json, context: Context) -> Result:
        """Turn *payload* into a result.

        Raises:
            UnusableInputError: retrying can't help.
            SettingsError: the job type's settings are wrong.
            Exception: anything else fails this attempt; the producer's `attempts` and `backoff` decide what follows.
        """
