"""What is remembered of an attempt in the graph: PROV-O and the small vocabulary of docs/bullpen.ttl. Pure.

A job and an attempt have IRIs that follow from what they are, so whoever writes about them writes about the same:

    urn:bullpen:job:<prefix>:<queue>:<job id>:<timestamp>     also the graph of the job's links to its findings
    urn:bullpen:attempt:<uuid of the token>                   also the graph of the attempt's record, written once
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Final
from urllib.parse import quote

from bullpen_protocol.assignment import REASON_LIMIT
from bullpen_protocol.n_triples import decimal, instant, integer, literal

NAMESPACE: Final = "https://bullpen.dev/ns#"
PROV: Final = "http://www.w3.org/ns/prov#"
JOB_IRI: Final = "urn:bullpen:job:"
"""How the IRI of every job begins."""
RDF_TYPE: Final = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"

_ECMA_UNESCAPED: Final = "!*'()"
"""What encodeURIComponent leaves alone besides letters, digits and `-_.~`."""


class Term(StrEnum):
    """The vocabulary, each declared in docs/bullpen.ttl."""

    JOB = "Job"
    ATTEMPT = "Attempt"
    OF_JOB = "ofJob"
    FOUND_BY = "foundBy"
    IN_GRAPH = "inGraph"
    PREVIOUS_ATTEMPT = "previousAttempt"
    ATTEMPT_NUMBER = "attemptNumber"
    OUTCOME = "outcome"
    REASON = "reason"
    IMAGE = "image"
    IMAGE_DIGEST = "imageDigest"
    PAYLOAD_SHA256 = "payloadSha256"
    MEMORY_LIMIT_BYTES = "memoryLimitBytes"
    CPU_LIMIT = "cpuLimit"
    MEMORY_PEAK_BYTES = "memoryPeakBytes"
    CPU_SECONDS = "cpuSeconds"
    FINDINGS = "findings"
    PREFIX = "prefix"
    QUEUE = "queue"
    JOB_ID = "jobId"
    JOB_NAME = "jobName"
    ADDED_AT = "addedAt"

    @property
    def node(self) -> str:
        """Render as `<iri>`."""
        return f"<{NAMESPACE}{self.value}>"


class AttemptOutcome(StrEnum):
    """What an attempt came to."""

    COMPLETED = "completed"
    FAILED = "failed"
    UNRECOVERABLE = "unrecoverable"
    GIVEN_BACK = "given-back"
    CANCELLED = "cancelled"


def job_iri(prefix: str, queue: str, job_id: str, added_ms: int) -> str:
    """Name a job. Ids start again at 1 when a Redis is emptied; together with the time of its making they don't."""
    return f"{JOB_IRI}{_part(prefix)}:{_part(queue)}:{_part(job_id)}:{added_ms}"


def attempt_iri(token: str) -> str:
    """Name an attempt by its token: T, or F of any pod of it."""
    return f"urn:bullpen:attempt:{_part(token.partition('#')[0].rpartition('/')[2])}"


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """What is known of one attempt when it ends; None: not known. Times are milliseconds since 1970.

    Hostile text is allowed anywhere: literals are bounded and escaped, half a surrogate pair is replaced by U+FFFD.
    """

    prefix: str
    queue: str
    job_id: str
    job_name: str
    added_ms: int
    """The BullMQ job's `timestamp`."""
    token: str
    """T of the protocol; F will do."""
    outcome: AttemptOutcome
    number: int = 1
    reason: str = ""
    started_ms: int | None = None
    ended_ms: int | None = None
    image: str | None = None
    image_digest: str | None = None
    payload_sha256: str | None = None
    """Hexadecimal, of the job's data as it lies in Redis."""
    memory_limit_bytes: int | None = None
    cpu_limit: float | None = None
    """Cores."""
    memory_peak_bytes: int | None = None
    cpu_seconds: float | None = None
    findings: int | None = None
    previous_token: str | None = None
    """T or F of the attempt before, of the same job."""

    @property
    def job(self) -> str:
        """IRI of the job."""
        return job_iri(self.prefix, self.queue, self.job_id, self.added_ms)

    @property
    def attempt(self) -> str:
        """IRI of the attempt."""
        return attempt_iri(self.token)

    def to_json(self) -> str:
        """Render for the outbox, in ASCII; what is not known is left out."""
        return json.dumps({name: value for name, value in asdict(self).items() if value is not None})

    @classmethod
    def from_json(cls, text: str | bytes) -> AttemptRecord:
        """Read what `to_json` wrote; keys of a newer version are skipped. Raises ValueError for anything else."""
        try:
            body = json.loads(text)
            known = {field.name: _checked(field.type, body[field.name]) for field in fields(cls) if field.name in body}
            return cls(**known)
        except (TypeError, KeyError, RecursionError) as error:
            raise ValueError(f"not a record of an attempt: {error}") from error

    def n_triples(self) -> str:
        """Render the attempt's record as lines of N-Triples in ASCII, which SPARQL reads as well."""
        return "".join(f"{subject} {predicate} {value} .\n" for subject, predicate, value in self._triples())

    def insert_once(self) -> str:
        """Return the SPARQL update that writes the record into the attempt's graph, unless somebody has: for good."""
        graph = f"GRAPH <{self.attempt}>"
        return (
            f"INSERT {{ {graph} {{\n{self.n_triples()}}} }} WHERE {{ FILTER NOT EXISTS {{ {graph} {{ ?s ?p ?o }} }} }}"
        )

    def link(self) -> str:
        """Return the line that ties the attempt to its job in the job's graph."""
        return f"<{self.attempt}> {Term.OF_JOB.node} <{self.job}> .\n"

    def finding_links(self, finding: str, graph: str) -> str:
        """Return the lines about one finding in the job's graph; *finding* and *graph* are rendered as `<iri>`."""
        return (
            f"{finding} <{PROV}wasGeneratedBy> <{self.attempt}> .\n"
            f"{finding} {Term.FOUND_BY.node} <{self.job}> .\n"
            f"{finding} {Term.IN_GRAPH.node} {graph} .\n"
        )

    def _triples(self) -> Iterator[tuple[str, str, str]]:
        attempt, job = f"<{self.attempt}>", f"<{self.job}>"
        yield attempt, RDF_TYPE, f"<{PROV}Activity>"
        yield attempt, RDF_TYPE, Term.ATTEMPT.node
        yield attempt, Term.OF_JOB.node, job
        for predicate, value in self._facts():
            if value is not None:
                yield attempt, predicate, value
        yield job, RDF_TYPE, f"<{PROV}Entity>"
        yield job, RDF_TYPE, Term.JOB.node
        for term, value in self._identity():
            if value is not None:
                yield job, term.node, value

    def _facts(self) -> Iterator[tuple[str, str | None]]:
        yield Term.ATTEMPT_NUMBER.node, integer(self.number)
        yield f"<{PROV}startedAtTime>", instant(self.started_ms)
        yield f"<{PROV}endedAtTime>", instant(self.ended_ms)
        yield Term.OUTCOME.node, literal(self.outcome.value)
        yield Term.REASON.node, literal(self.reason, REASON_LIMIT) if self.reason else None
        yield Term.IMAGE.node, _known(self.image)
        yield Term.IMAGE_DIGEST.node, _known(self.image_digest)
        yield Term.PAYLOAD_SHA256.node, _known(self.payload_sha256)
        yield Term.MEMORY_LIMIT_BYTES.node, integer(self.memory_limit_bytes)
        yield Term.CPU_LIMIT.node, decimal(self.cpu_limit)
        yield Term.MEMORY_PEAK_BYTES.node, integer(self.memory_peak_bytes)
        yield Term.CPU_SECONDS.node, decimal(self.cpu_seconds)
        yield Term.FINDINGS.node, integer(self.findings)
        yield Term.PREVIOUS_ATTEMPT.node, f"<{attempt_iri(self.previous_token)}>" if self.previous_token else None

    def _identity(self) -> Iterator[tuple[Term, str | None]]:
        yield Term.PREFIX, literal(self.prefix)
        yield Term.QUEUE, literal(self.queue)
        yield Term.JOB_ID, literal(self.job_id)
        yield Term.JOB_NAME, literal(self.job_name)
        yield Term.ADDED_AT, instant(self.added_ms)


def _part(text: str) -> str:
    # ids may hold bytes that are no text, as lone surrogates: kept apart all the same
    return quote(text.encode("utf-8", "surrogatepass"), safe=_ECMA_UNESCAPED)


def _known(text: str | None) -> str | None:
    return literal(text) if text else None


def _checked(kind: Any, value: Any) -> Any:
    """Return *value* as the field's type; *kind* is its annotation as text. Raises ValueError."""
    if kind == "AttemptOutcome":
        return AttemptOutcome(value)
    wanted: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float)}
    if isinstance(value, bool) or not isinstance(value, wanted[str(kind).partition(" ")[0]]):
        raise ValueError(f"not a record of an attempt: {value!r:.40} where {kind} is expected")
    if isinstance(value, float) and not -1e18 < value < 1e18:
        raise ValueError("not a record of an attempt: a number out of range")
    return value
