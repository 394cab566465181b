"""`bullpen jobs`: the jobs of a queue, state by state."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from bullpen_cli.connecting import Place, opened
from bullpen_cli.defaults import PREFIX, STATE
from bullpen_cli.ending import print_json, refusals
from bullpen_cli.options import AsJson, Prefix, QueueName, RedisCa, RedisUrl
from bullpen_cli.telling import span, table
from bullpen_protocol.bullmq.encoding import from_json
from bullpen_protocol.bullmq.job import Job

if TYPE_CHECKING:
    from bullpen_protocol.bullmq import ConsoleQueue

HEAD: Final = ("id", "name", "state", "attempts", "age", "progress", "reason")


class JobState(StrEnum):
    """States as BullMQ names them, in the order in which they are listed."""

    ACTIVE = "active"
    WAITING = "waiting"
    PRIORITIZED = "prioritized"
    DELAYED = "delayed"
    WAITING_CHILDREN = "waiting-children"
    FAILED = "failed"
    COMPLETED = "completed"


def jobs(  # noqa: PLR0913 - options of a command line
    queue: QueueName,
    states: Annotated[
        list[JobState] | None, typer.Option("--state", help="Only this state; may be given several times.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many of each state.")] = 10,
    skip: Annotated[int, typer.Option(min=0, help="Leave out the first so many of each state.")] = 0,
    *,
    redis_url: RedisUrl = None,
    redis_ca: RedisCa = None,
    prefix: Prefix = PREFIX,
    state_folder: Annotated[
        Path, typer.Option(envvar="BULLPEN_STATE", help="State folder of `bullpen local`.")  # --state is the job's here
    ] = STATE,
    as_json: AsJson = False,
) -> None:
    """List the jobs of a queue.

    Those that run next come first, of ended ones the latest.

    \b
    Examples:
      bullpen jobs http-requests
      bullpen jobs http-requests --state failed --limit 100
      bullpen jobs http-requests --state failed --json | jq -r '.[].reason' | sort | uniq -c

    \b
    Exit code:
      0  here they are, though there may be none
      2  the command line is wrong, or Redis can't be reached
    """
    with refusals("jobs"), opened(Place(redis_url, redis_ca, prefix, state_folder), queue) as opening:
        wanted = list(JobState) if states is None else list(dict.fromkeys(states))
        now, counts = opening.now_ms(), _counts(opening)
        found = [(one, job) for one in wanted for job in opening.summaries(opening.ids(one, limit, skip))]
        if as_json:
            print_json([body(one, job) for one, job in found])
            return
        if found:
            print(table(HEAD, [_row(one, job, now) for one, job in found]))
        for sentence in _hidden(wanted, counts, limit, skip):
            print(sentence)
        if not found:
            print(f"no jobs that are {' or '.join(wanted)}" if states else "no jobs")


def _counts(queue: ConsoleQueue) -> dict[str, int]:
    counts = queue.counts()
    return counts | {"waiting": counts["wait"] + counts["paused"]}


def _hidden(wanted: list[JobState], counts: dict[str, int], limit: int, skip: int) -> list[str]:
    more = {one: max(0, counts[one] - skip - limit) for one in wanted}
    return [
        f"and {number:,} more {one}; show them with --state {one} --limit" for one, number in more.items() if number
    ]


def body(state: str, job: Job) -> dict[str, Any]:
    """Describe a job to programs; times in milliseconds since the epoch."""
    return {
        "id": job.id,
        "name": job.name,
        "state": state,
        "attemptsMade": job.atm,
        "attempts": max(1, job.attempts),
        "timestamp": job.timestamp,
        "processedOn": job.processed_on,
        "finishedOn": job.finished_on,
        "progress": from_json(job.raw.get("progress"), None),
        "reason": reason(job) or None,
    }


def reason(job: Job) -> str:
    """Say why it failed, or why its latest attempt did, or why it will."""
    if job.cancel is not None and job.finished_on is None:
        return "being cancelled"
    return job.defa or job.failed_reason or ""


def shown_progress(job: Job) -> str:
    """Render the progress: `40 %` of a number, an object as it is; empty before there is one."""
    value = from_json(job.raw.get("progress"), 0)
    if isinstance(value, int | float):
        return f"{value:g} %" if value else ""
    return str(job.raw.get("progress", ""))


def _row(state: str, job: Job, now: int) -> tuple[str, ...]:
    attempts = f"{job.atm}/{max(1, job.attempts)}"
    return (job.id, job.name, state, attempts, span(now - job.timestamp), shown_progress(job), reason(job))
