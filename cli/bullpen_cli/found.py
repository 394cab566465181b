"""Findings in a graph store: the queries, and what their answers mean. Pure.

What people type is bound as a term (VALUES), never pasted. Every pattern names its graph and every answer is DISTINCT:
stores differ in what a pattern without GRAPH sees.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote

import pyoxigraph as ox

from bullpen_cli.ending import CannotAskError
from bullpen_protocol.provenance import JOB_IRI, NAMESPACE, PROV, Term

BULLPEN: Final = NAMESPACE
RDFS: Final = "http://www.w3.org/2000/01/rdf-schema#"
ONTOLOGY: Final = "http://localhost/onto/ontowebpt"
"""Of the findings, unless ONT_EX says otherwise; as the job types' setting ontEx."""

SEVERITIES: Final = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFO", "UNKNOWN")
"""The gravest first."""

FINDING_IRI: Final = "urn:finding:"

_LABELS: Final = {
    "severity": ("severity",),
    "rule": ("findingRuleId",),
    "text": ("findingDescription",),
    "category": ("findingCategory",),
    "where": ("requestUrl", "mainDomain", "headerUrl", "contextSrc"),
}
"""Column -> properties of the ontology that fill it; the first that a finding has."""

JOB: Final = (Term.PREFIX, Term.QUEUE, Term.JOB_ID, Term.JOB_NAME, Term.ADDED_AT)
ATTEMPT: Final = (
    *(Term.ATTEMPT_NUMBER, Term.OUTCOME, Term.REASON, Term.IMAGE, Term.IMAGE_DIGEST, Term.PAYLOAD_SHA256),
    *(Term.FINDINGS, Term.MEMORY_LIMIT_BYTES, Term.MEMORY_PEAK_BYTES, Term.CPU_LIMIT, Term.CPU_SECONDS),
    Term.PREVIOUS_ATTEMPT,
)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which findings are wanted; None: whatever."""

    severity: str | None = None
    rule: str | None = None
    queue: str | None = None
    job_id: str | None = None
    ontology: str = ONTOLOGY

    def term(self, name: str) -> str:
        """Render a term of the ontology."""
        return iri(f"{self.ontology}#{name}")


def literal(text: str) -> str:
    """Render a string; raises CannotAskError for half a surrogate pair, which no store can hold."""
    try:
        return str(ox.Literal(text))
    except ValueError as error:
        raise CannotAskError(f"{text!r:.80} is not text that a store can hold") from error


def iri(text: str) -> str:
    """Render an IRI; raises CannotAskError for anything that is none."""
    try:
        return str(ox.NamedNode(text))
    except ValueError as error:
        raise CannotAskError(f"{text!r:.200} is not an absolute IRI") from error


def findings_query(wanted: Filter, limit: int) -> str:
    """Select ?finding, the gravest first."""
    ranks = " ".join(f"({literal(name)} {rank})" for rank, name in enumerate(SEVERITIES))
    return f"""
SELECT ?finding (MIN(?rank) AS ?gravest) WHERE {{
{_wanted(wanted)}
  OPTIONAL {{ VALUES (?level ?known) {{ {ranks} }} GRAPH ?g {{ ?finding {wanted.term("severity")} ?level }} }}
  BIND(COALESCE(?known, {len(SEVERITIES)}) AS ?rank)
}} GROUP BY ?finding ORDER BY ?gravest ?finding LIMIT {limit}"""


def _wanted(wanted: Filter) -> str:
    found_by = f"GRAPH ?links {{ ?finding {Term.FOUND_BY.node} ?job }}"
    typed = f"GRAPH ?own {{ ?finding a {wanted.term('Finding')} }}"
    patterns = [f"{{ {found_by} }} UNION {{ {typed} }}"]
    if wanted.queue is not None and wanted.job_id is not None:
        patterns = [
            f"VALUES (?queue ?id) {{ ({literal(wanted.queue)} {literal(wanted.job_id)}) }}",
            f"GRAPH ?record {{ ?job {Term.QUEUE.node} ?queue ; {Term.JOB_ID.node} ?id }}",
            found_by,
        ]
    for name, value in (("severity", wanted.severity), ("findingRuleId", wanted.rule)):
        if value is not None:
            variable = f"?{name}"
            patterns.append(f"VALUES {variable} {{ {literal(value)} }}")
            patterns.append(f"GRAPH ?of_{name} {{ ?finding {wanted.term(name)} {variable} }}")
    return "\n".join(f"  {pattern}" for pattern in patterns)


def values_query(subjects: Iterable[str], predicates: Iterable[str]) -> str:
    """Select ?s ?p ?o, of some subjects (IRIs) and some predicates (IRIs)."""
    return f"""
SELECT DISTINCT ?s ?p ?o WHERE {{
  VALUES ?s {{ {_all(subjects)} }} VALUES ?p {{ {_all(predicates)} }}
  GRAPH ?g {{ ?s ?p ?o }}
}} ORDER BY ?s ?p ?o"""


def graph_query(findings: Iterable[str]) -> str:
    """Construct all that is said of findings, and of the attempts that generated them."""
    return f"""
CONSTRUCT {{ ?s ?p ?o }} WHERE {{
  {{ VALUES ?s {{ {_all(findings)} }} GRAPH ?g {{ ?s ?p ?o }} }} UNION
  {{ VALUES ?finding {{ {_all(findings)} }}
     GRAPH ?links {{ ?finding <{PROV}wasGeneratedBy> ?s }} GRAPH ?g {{ ?s ?p ?o }} }}
}}"""


def links_query(finding: str) -> str:
    """Select the ?job and the ?attempt of each job that names *finding* (an IRI)."""
    return f"""
SELECT DISTINCT ?job ?attempt WHERE {{
  VALUES ?finding {{ {iri(finding)} }}
  GRAPH ?links {{ ?finding {Term.FOUND_BY.node} ?job }}
  OPTIONAL {{ GRAPH ?links {{ ?finding <{PROV}wasGeneratedBy> ?attempt . ?attempt {Term.OF_JOB.node} ?job }} }}
}} ORDER BY ?job ?attempt LIMIT 1000"""


def label_terms(ontology: str) -> list[str]:
    """Name the properties that label() reads."""
    own = [f"{ontology}#{name}" for names in _LABELS.values() for name in names]
    return [*own, f"{RDFS}label", BULLPEN + Term.FOUND_BY]


def bullpen_terms(names: Sequence[str]) -> list[str]:
    """Name terms of our vocabulary, and the times of PROV-O."""
    return [*(BULLPEN + name for name in names), f"{PROV}startedAtTime", f"{PROV}endedAtTime"]


def grouped(rows: Iterable[Mapping[str, str]]) -> dict[str, dict[str, list[str]]]:
    """Collect the answer to values_query(): subject -> predicate -> values."""
    found: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        found.setdefault(row["s"], {}).setdefault(row["p"], []).append(row["o"])
    return found


def label(finding: str, values: Mapping[str, Sequence[str]], ontology: str) -> dict[str, Any]:
    """Describe a finding: what the columns say, and which jobs name it."""
    told: dict[str, Any] = {"finding": finding}
    for column, names in _LABELS.items():
        texts = [text for name in names for text in values.get(f"{ontology}#{name}", ())]
        told[column] = texts[0] if texts else None
    told["text"] = told["text"] or next(iter(values.get(f"{RDFS}label", ())), None)
    told["jobs"] = [shown_job(job) for job in values.get(BULLPEN + Term.FOUND_BY, ())]
    return told


def facts(values: Mapping[str, Sequence[str]], names: Sequence[str]) -> dict[str, str]:
    """Take the first value of each term of ours that is there."""
    told = {name: values[BULLPEN + name][0] for name in names if values.get(BULLPEN + name)}
    times = {name: values[PROV + name][0] for name in ("startedAtTime", "endedAtTime") if values.get(PROV + name)}
    return told | times


def job_of(name: str) -> dict[str, str]:
    """Read prefix, queue and id out of the IRI of a job; nothing for another IRI."""
    parts = name.removeprefix(JOB_IRI).split(":")
    if not name.startswith(JOB_IRI) or len(parts) != 4:
        return {}
    return dict(zip(("prefix", "queue", "jobId"), map(unquote, parts), strict=False))


def shown_job(name: str) -> str:
    """Render a job as QUEUE/ID, which `--job` takes."""
    known = job_of(name)
    return f"{known['queue']}/{known['jobId']}" if known else name


def finding_iris(text: str) -> list[str]:
    """What a person may mean by *text*: the IRI of a finding, or its key, as `http:missing-csp:req-1`."""
    given = text.removeprefix("<").removesuffix(">")
    try:
        keyed = FINDING_IRI + quote(given, safe="!*'()")
    except UnicodeEncodeError as error:
        raise CannotAskError(f"{text!r:.200} is not text that a store can hold") from error
    try:
        return [ox.NamedNode(given).value, keyed]
    except ValueError:
        return [keyed]


def _all(names: Iterable[str]) -> str:
    return " ".join(map(iri, names))
