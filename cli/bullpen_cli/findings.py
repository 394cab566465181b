"""`bullpen findings`: what jobs have found, the gravest first."""

from __future__ import annotations

import logging
import sys
from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from bullpen_cli import found
from bullpen_cli.defaults import STATE
from bullpen_cli.ending import CannotAskError, print_json, refusals, say
from bullpen_cli.options import AsJson, GraphQueryUrl, GraphUrl, GraphUsername, OntologyUrl, StateFolder
from bullpen_cli.sparql import GraphPlace, Store
from bullpen_cli.telling import table
from bullpen_protocol.provenance import NAMESPACE, PROV

HEAD: Final = ("severity", "rule", "where", "text", "job", "finding")
AT_ONCE: Final = 200
"""Findings that one query asks for."""


class Severity(StrEnum):
    """As findings say it."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"
    INFO = "INFO"
    UNKNOWN = "UNKNOWN"


class Format(StrEnum):
    """Of the answer."""

    TABLE = "table"
    JSON = "json"
    TURTLE = "turtle"


def findings(  # noqa: PLR0913 - options of a command line
    severity: Annotated[
        Severity | None, typer.Option(case_sensitive=False, help="Only findings of this severity.")
    ] = None,
    rule: Annotated[str | None, typer.Option(help="Only what this rule has found, such as missing-csp.")] = None,
    job: Annotated[str | None, typer.Option(help="Only what this job has found.", metavar="QUEUE/ID")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the gravest.")] = 50,
    form: Annotated[Format, typer.Option("--format", help="Form of the answer.")] = Format.TABLE,
    *,
    graph_url: GraphUrl = None,
    graph_query_url: GraphQueryUrl = None,
    graph_username: GraphUsername = None,
    ontology: OntologyUrl = found.ONTOLOGY,
    state_folder: StateFolder = STATE,
    as_json: AsJson = False,
) -> None:
    """List what jobs have found, from the graph store, the gravest first.

    A finding is whatever a job names as one, and whatever the ontology calls a Finding.

    \b
    Examples:
      bullpen findings
      bullpen findings --severity high --rule sql-injection-pattern
      bullpen findings --job http-requests/7 --json | jq -r '.[].rule' | sort | uniq -c
      bullpen findings --format turtle > findings.ttl
      bullpen findings --graph-url http://graphdb:7200/repositories/traffic

    \b
    Exit code:
      0  here they are, though there may be none
      2  the command line is wrong, or the graph store can't be reached
    """
    with refusals("findings"):
        wanted = found.Filter(severity, rule, *_job(job), ontology=ontology)
        store = Store.at(GraphPlace.given(graph_url, graph_query_url, graph_username, state_folder))
        names = [row["finding"] for row in store.rows(found.findings_query(wanted, limit + 1))]
        shown = names[:limit]
        if as_json or form is Format.JSON:
            print_json(described(store, shown, ontology))
        elif form is Format.TURTLE:
            sys.stdout.write(_turtle(store, shown, ontology))
        else:
            _show(described(store, shown, ontology))
        if len(names) > limit:
            say("findings", f"these are the first {limit:,}; show more with --limit")


def described(store: Store, names: list[str], ontology: str) -> list[dict[str, Any]]:
    """Describe findings, in their order."""
    terms, values = found.label_terms(ontology), dict[str, dict[str, list[str]]]()
    for start in range(0, len(names), AT_ONCE):
        values |= found.grouped(store.rows(found.values_query(names[start : start + AT_ONCE], terms)))
    return [found.label(name, values.get(name, {}), ontology) for name in names]


def _job(text: str | None) -> tuple[str | None, str | None]:
    if text is None:
        return None, None
    queue, slash, job_id = text.partition("/")
    if not (queue and slash and job_id):
        raise CannotAskError(f"--job: expected QUEUE/ID, such as http-requests/7, got {text[:80]!r}")
    return queue, job_id


def _show(rows: list[dict[str, Any]]) -> None:
    if not rows:
        print("no findings")
        return
    cells = [[*(row[name] or "" for name in HEAD[:4]), ", ".join(row["jobs"]), row["finding"]] for row in rows]
    print(table(HEAD, cells, width=0))  # the IRI is to be copied: it is never cut


def _turtle(store: Store, names: list[str], ontology: str) -> str:
    """Collect all that is said of findings into one rdflib graph, and write it."""
    import rdflib  # noqa: PLC0415 - 110 ms

    rdflib.NORMALIZE_LITERALS = False  # they come out as they went in
    logging.getLogger("rdflib").setLevel(logging.CRITICAL)  # which warns of each literal that is not of its type
    graph = rdflib.Graph()
    for start in range(0, len(names), AT_ONCE):
        graph.parse(store.turtle(found.graph_query(names[start : start + AT_ONCE])), format="turtle")
    for prefix, namespace in (("ex", f"{ontology}#"), ("bullpen", NAMESPACE), ("prov", PROV)):
        graph.bind(prefix, namespace)
    return "".join(map(_plain, graph.serialize(format="turtle")))


def _plain(character: str) -> str:
    r"""Escape what a terminal might obey: in Turtle only literals can hold it, and there `\u001B` means the same."""
    kept = character in "\n\t" or character.isprintable()
    return character if kept else f"\\u{ord(character):04X}" if ord(character) < 0x10000 else f"\\U{ord(character):08X}"
