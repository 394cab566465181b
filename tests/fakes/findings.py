"""What two jobs of http-resolver leave in the graph, by hand: findings, links of each job, records of attempts."""

from __future__ import annotations

from typing import Final

from servers.graph import GraphServer

EX: Final = "http://localhost/onto/ontowebpt#"
BULLPEN: Final = "https://bullpen.dev/ns#"
PROV: Final = "http://www.w3.org/ns/prov#"
XSD: Final = "http://www.w3.org/2001/XMLSchema#"
FINDINGS: Final = "http://localhost/graphs/findings"

SQL: Final = "urn:finding:http%3Asql-injection-pattern%3Areq-1"
CSP: Final = "urn:finding:http%3Amissing-csp%3Areq-1"
ODD: Final = "urn:finding:http%3A%C3%A9%F0%9F%98%80%3Areq-2"
OWN: Final = "urn:acme:leak:1"
"""Of a processor that does not speak the ontology."""
OLD: Final = "urn:finding:http%3Aserver-fingerprint%3Areq-0"
"""Written before there was Bullpen: no job names it."""

FIRST: Final = "urn:bullpen:job:bull:http-requests:7:1795600000000"
SECOND: Final = "urn:bullpen:job:bull:http-requests:8:1795600060000"
INPUT: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def finding(iri: str, severity: str, rule: str, text: str, url: str) -> str:
    return f"""
<{iri}> a <{EX}Finding>, <{EX}HttpFinding> ; <{EX}severity> "{severity}" ; <{EX}findingRuleId> "{rule}" ;
  <{EX}findingDescription> "{text}" ; <{EX}requestUrl> "{url}" ; <{EX}findingCategory> "Injection" ."""


def record(attempt: str, job: str, number: int, ended: str, outcome: str = "completed") -> str:
    """The graph of an attempt."""
    _, queue, job_id, _ = job.rsplit(":", 3)
    return f"""GRAPH <{attempt}> {{
<{attempt}> a <{PROV}Activity>, <{BULLPEN}Attempt> ; <{BULLPEN}ofJob> <{job}> ; <{BULLPEN}attemptNumber> {number} ;
  <{PROV}startedAtTime> "2026-11-26T07:00:00Z"^^<{XSD}dateTime> ; <{PROV}endedAtTime> "{ended}"^^<{XSD}dateTime> ;
  <{BULLPEN}outcome> "{outcome}" ; <{BULLPEN}image> "registry.example/http-resolver:1.4" ;
  <{BULLPEN}imageDigest> "sha256:aa" ; <{BULLPEN}payloadSha256> "{INPUT}" ;
  <{BULLPEN}memoryPeakBytes> 52428800 ; <{BULLPEN}cpuSeconds> 0.75 ; <{BULLPEN}findings> 2 .
<{job}> a <{PROV}Entity>, <{BULLPEN}Job> ; <{BULLPEN}prefix> "bull" ; <{BULLPEN}queue> "{queue}" ;
  <{BULLPEN}jobId> "{job_id}" ; <{BULLPEN}jobName> "http-resolver" ;
  <{BULLPEN}addedAt> "2026-11-26T06:59:00Z"^^<{XSD}dateTime> . }}"""


def links(job: str, attempt: str, *findings: str) -> str:
    """The graph of a job."""
    found = " ".join(f"<{one}> <{PROV}wasGeneratedBy> <{attempt}> ; <{BULLPEN}foundBy> <{job}> ." for one in findings)
    return f"GRAPH <{job}> {{ {found} <{attempt}> <{BULLPEN}ofJob> <{job}> . }}"


def update() -> str:
    found = [
        finding(SQL, "HIGH", "sql-injection-pattern", "SQL in a parameter: é 😀", "http://shop.example/cart?id=1"),
        finding(CSP, "MEDIUM", "missing-csp", "No Content-Security-Policy", "http://shop.example/"),
        finding(ODD, "LOW", "é😀", "\\u001B[31mred\\u0007", "http://shop.example/é"),
        finding(OLD, "INFO", "server-fingerprint", "Server: nginx", "http://old.example/"),
    ]
    return f"""INSERT DATA {{
GRAPH <{FINDINGS}> {{ {"".join(found)} }}
GRAPH <urn:acme:graph> {{ <{OWN}> <http://www.w3.org/2000/01/rdf-schema#label> "a leak" }}
{links(FIRST, "urn:bullpen:attempt:a1", SQL, CSP)}
{links(SECOND, "urn:bullpen:attempt:b2", CSP, ODD, OWN)}
{record("urn:bullpen:attempt:a1", FIRST, 1, "2026-11-26T07:00:05Z")}
{record("urn:bullpen:attempt:b2", SECOND, 2, "2026-11-26T08:00:05Z")}
}}"""


def fill(server: GraphServer) -> None:
    """Write it, by a client that shares no code with the one under test."""
    url = server.update_url or f"{server.query_url}/statements"
    headers = {"Content-Type": "application/sparql-update; charset=utf-8"}
    status, body = server.request("POST", url, update().encode(), headers)
    assert 200 <= status < 300, body
