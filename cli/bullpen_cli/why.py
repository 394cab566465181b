"""`bullpen why`: which jobs found this, from which input, with which image, when."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Final

import typer

from bullpen_cli import found
from bullpen_cli.defaults import STATE
from bullpen_cli.ending import NEGATIVE, print_json, refusals
from bullpen_cli.findings import described
from bullpen_cli.options import AsJson, GraphQueryUrl, GraphUrl, GraphUsername, OntologyUrl, StateFolder
from bullpen_cli.sparql import GraphPlace, Row, Store
from bullpen_cli.telling import count
from bullpen_cli.telling import facts as aligned
from bullpen_operator.escaping import safe

_ROWS: Final = {
    "job": "job",
    "jobName": "job name",
    "addedAt": "added",
    "attempt": "attempt",
    "attemptNumber": "number",
    "outcome": "outcome",
    "reason": "reason",
    "image": "image",
    "imageDigest": "image digest",
    "payloadSha256": "input sha256",
    "startedAtTime": "started",
    "endedAtTime": "ended",
    "findings": "findings in all",
    "memoryPeakBytes": "memory, bytes",
    "cpuSeconds": "CPU seconds",
}
"""Fact -> how a person reads it, in order."""


def why(
    finding: Annotated[
        str, typer.Argument(help="IRI of the finding, as `bullpen findings` shows it, or its key.", metavar="FINDING")
    ],
    *,
    graph_url: GraphUrl = None,
    graph_query_url: GraphQueryUrl = None,
    graph_username: GraphUsername = None,
    ontology: OntologyUrl = found.ONTOLOGY,
    state_folder: StateFolder = STATE,
    as_json: AsJson = False,
) -> None:
    """Say where a finding comes from: which job, image and input, when, and how often it was found.

    \b
    Examples:
      bullpen why urn:finding:http%3Amissing-csp%3Areq-1
      bullpen why http:missing-csp:req-1
      bullpen why http:missing-csp:req-1 --json | jq -r '.jobs[].payloadSha256'

    \b
    Exit code:
      0  here it is
      1  there is no such finding, or no job names it
      2  the command line is wrong, or the graph store can't be reached
    """
    with refusals("why"):
        store = Store.at(GraphPlace.given(graph_url, graph_query_url, graph_username, state_folder))
        known = _find(store, finding, ontology)
        if known is None:
            print(f"There is no finding {safe(finding, 200)} in the graph store.", file=sys.stderr)
            raise typer.Exit(NEGATIVE)
        jobs = _jobs(store, known["finding"])
        if as_json:
            print_json(known | {"why": sentence(known, jobs), "jobs": jobs})
        else:
            _show(known, jobs)
        raise typer.Exit(0 if jobs else NEGATIVE)


def _find(store: Store, text: str, ontology: str) -> dict[str, Any] | None:
    """Find what is meant; None: nothing is said of any of it."""
    for known in described(store, found.finding_iris(text), ontology):
        if any(value for name, value in known.items() if name != "finding"):
            return known
    return None


def _jobs(store: Store, finding: str) -> list[dict[str, str]]:
    """Describe each job that names a finding, with the attempt that generated it; the latest first."""
    links = store.rows(found.links_query(finding))
    if not links:
        return []
    names = sorted({name for link in links for name in link.values()})
    terms = found.bullpen_terms((*found.JOB, *found.ATTEMPT))
    told = found.grouped(store.rows(found.values_query(names, terms)))
    jobs = [_job(link, told) for link in links]
    return sorted(jobs, key=lambda job: job.get("endedAtTime") or job.get("addedAt") or "", reverse=True)


def _job(link: Row, told: dict[str, dict[str, list[str]]]) -> dict[str, str]:
    name, attempt = link["job"], link.get("attempt", "")
    of_job = found.facts(told.get(name, {}), found.JOB)
    of_attempt = found.facts(told.get(attempt, {}), found.ATTEMPT)
    return {"job": found.shown_job(name), "iri": name, "attempt": attempt, **found.job_of(name), **of_job, **of_attempt}


def sentence(known: dict[str, Any], jobs: list[dict[str, str]]) -> str:
    """Say in one sentence where a finding comes from."""
    what = f"Finding {safe(known['finding'], 200)}"
    if not jobs:
        return f"{what} is in the graph store, but no job of Bullpen's names it: something else wrote it."
    last = jobs[0]
    name = f" ({safe(last['jobName'], 80)})" if "jobName" in last else ""
    by = f"job {safe(last.get('jobId', last['job']), 80)} of queue {safe(last.get('queue', '?'), 80)}{name}"
    often = "" if len(jobs) == 1 else f"{count(len(jobs), 'job')}, the last one "
    return f"{what} was found by {often}{by}{_circumstances(last)}."


def _circumstances(job: dict[str, str]) -> str:
    if "outcome" not in job and "endedAtTime" not in job:
        return "; its attempt's record is not in the graph store"
    when = f" that ended {safe(job['endedAtTime'], 40)}" if "endedAtTime" in job else ""
    image = f", with image {safe(job['image'], 200)}" if "image" in job else ""
    source = f", from the input with SHA-256 {safe(job['payloadSha256'], 64)}" if "payloadSha256" in job else ""
    return f" in attempt {safe(job.get('attemptNumber', '?'), 10)}{when}{image}{source}"


def _show(known: dict[str, Any], jobs: list[dict[str, str]]) -> None:
    print(sentence(known, jobs))
    print()
    print(aligned([(name, known[name] or "") for name in ("severity", "rule", "category", "where", "text")]))
    for job in jobs:
        print()
        print(aligned([(shown, job.get(name, "")) for name, shown in _ROWS.items()]))
