"""What `make demo` says: before, and after all jobs are over. Plain text where the output is not a terminal."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from demo_plan import Ended, Planned

WIDTH: Final = 100
NUMBERS: Final = frozenset({"attempts", "took", "times set", "without Secure", "without SameSite", "exchanges"})
CONSOLE: Final = Console(width=min(WIDTH, Console().width) if Console().is_terminal else WIDTH, highlight=False)

COOKIES: Final = """\
PREFIX ex: <http://localhost/onto/ontowebpt#>
SELECT ?cookie (COUNT(*) AS ?times_set)
       (SUM(?open) AS ?without_Secure) (SUM(?lax) AS ?without_SameSite)
WHERE { GRAPH <http://localhost/graphs/http-requests> {
  ?request ex:resp/ex:resHeader ?header .
  ?header a ex:Set-Cookie ; ex:cookieName ?cookie ; ex:fieldValue ?value .
  BIND(IF(REGEX(?value, "; *secure", "i"), 0, 1) AS ?open)
  BIND(IF(REGEX(?value, "; *samesite", "i"), 0, 1) AS ?lax)
} } GROUP BY ?cookie ORDER BY ?cookie"""
STATUSES: Final = """\
PREFIX ex: <http://localhost/onto/ontowebpt#>
SELECT ?status (COUNT(*) AS ?exchanges) (MIN(?uri) AS ?one_of_them)
WHERE { GRAPH <http://localhost/graphs/http-requests> {
  ?request ex:resp/ex:sc/ex:statusCodeNumber ?status ; ex:uriRequest/ex:uri ?uri .
} } GROUP BY ?status ORDER BY ?status"""


def opening(jobs: Sequence[Planned]) -> None:
    """Say what is about to happen."""
    CONSOLE.print(f"[bold]{len(jobs)} jobs for `bullpen local`[/]: each runs in a process of its own, within limits.")
    for (name, what), count in Counter((job.name, job.what) for job in jobs).items():
        CONSOLE.print(f"  {count} [cyan]{name:<11}[/]  {what}")
    CONSOLE.print()


def transition(line: str) -> None:
    """Show a line of the operator's log: when, what, which job, why."""
    try:
        said = json.loads(line)
    except ValueError:
        said = {"msg": line.rstrip()}
    job = (
        f"{said.get('jobqueue', '').removeprefix('local/')}/{said.get('job_id', '')} {said.get('job_name', '')}".strip(
            "/ "
        )
    )
    parts = (said.get("ts", "")[11:19], f"{said['msg']:<9}", job, said.get("outcome", ""), said.get("sentence", ""))
    CONSOLE.print("  ".join(filter(None, parts)), markup=False)


def outcomes(ended: Sequence[Ended]) -> None:
    """Show what became of every job, and why."""
    table = _table("job", "name", "state", "attempts", "took", "value, or reason")
    for one in ended:
        name, state = (
            f"{one.planned.queue}/{one.job.id}",
            Text(one.state, "green" if one.state == "completed" else "red"),
        )
        table.add_row(name, one.job.name, state, str(one.job.atm), _took(one), Text(_came_to(one)))
    CONSOLE.print("\n[bold]What became of them[/], as BullMQ's own clients see it")
    CONSOLE.print(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0), pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in NUMBERS else "left")
    return table


def _took(one: Ended) -> str:
    job = one.job
    return f"{(job.finished_on - job.processed_on) / 1000:.1f} s" if job.finished_on and job.processed_on else ""


def _came_to(one: Ended) -> str:
    if one.state == "failed":
        return one.job.failed_reason or ""
    value = json.loads(one.job.returnvalue or "null")
    if not isinstance(value, dict):
        return str(value)
    return f"{value['count']} exchanges stored: HTTP {value['status']}"  # the rest of it echoes the batch


def answers(graph_url: str) -> None:
    """Ask the graph what the recorded traffic shows."""
    CONSOLE.print("\n[bold]What the traffic shows[/]: which cookies are set carelessly? In SPARQL:")
    CONSOLE.print(Text(COOKIES, "dim"))
    _show(_select(graph_url, COOKIES))
    CONSOLE.print("\nAnd which answers did the server give?")
    _show(_select(graph_url, STATUSES))


def _select(graph_url: str, query: str) -> dict[str, Any]:
    headers = {"Content-Type": "application/sparql-query", "Accept": "application/sparql-results+json"}
    request = urllib.request.Request(graph_url, query.encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        body: dict[str, Any] = json.load(answer)
    return body


def _show(answer: dict[str, Any]) -> None:
    names = answer["head"]["vars"]
    table = _table(*(name.replace("_", " ") for name in names))
    for row in answer["results"]["bindings"]:
        table.add_row(*(Text(row[name]["value"]) for name in names))
    CONSOLE.print(table)


def closing(ended: Sequence[Ended], seconds: float) -> int:
    """Say whether all came out as promised; 1 when not."""
    wrong = [one for one in ended if not one.as_planned]
    for one in wrong:
        CONSOLE.print(f"[red]{one.planned.queue}/{one.job.id} should be {one.planned.state}, it is {one.state}[/]")
    if wrong or not ended:
        return 1
    CONSOLE.print(f"\nAll {len(ended)} jobs came out as they should, in {seconds:.0f} s; nothing is left behind.")
    return 0
