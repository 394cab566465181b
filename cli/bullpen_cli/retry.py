"""`bullpen retry`: put failed or completed jobs back to wait, by BullMQ's own script."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bullpen_cli import completing
from bullpen_cli.connecting import Place, opened
from bullpen_cli.defaults import PREFIX, STATE
from bullpen_cli.ending import NEGATIVE, CannotAskError, print_json, refusals
from bullpen_cli.options import AsJson, Prefix, QueueName, RedisCa, RedisUrl, StateFolder
from bullpen_cli.telling import count
from bullpen_operator.escaping import safe
from bullpen_protocol.bullmq.errors import Code, QueueError
from bullpen_protocol.bullmq.keys import RESERVED_IDS

if TYPE_CHECKING:
    from bullpen_protocol.bullmq import ConsoleQueue
    from bullpen_protocol.bullmq.retrying import Ended

PAGE: Final = 500
_MOST_NAMED: Final = 20


def retry(  # noqa: PLR0913 - options of a command line
    queue: QueueName,
    job_ids: Annotated[
        list[str] | None,
        typer.Argument(help="Ids of the jobs.", metavar="[ID]...", autocompletion=completing.job_ids),
    ] = None,
    *,
    all_failed: Annotated[bool, typer.Option("--all-failed", help="Every job that has failed up to now.")] = False,
    completed: Annotated[bool, typer.Option("--completed", help="Run jobs again that have completed.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Count attempts from 0 again.")] = False,
    redis_url: RedisUrl = None,
    redis_ca: RedisCa = None,
    prefix: Prefix = PREFIX,
    state_folder: StateFolder = STATE,
    as_json: AsJson = False,
) -> None:
    """Put failed jobs back to wait, as BullMQ's Job.retry() and dashboards do.

    Attempts stay counted: a job that has used them up gets one more. --fresh gives it all of them again.

    \b
    Examples:
      bullpen retry http-requests 7 8
      bullpen retry http-requests --all-failed
      bullpen retry http-requests 7 --fresh
      bullpen retry http-requests 12 --completed

    \b
    Exit code:
      0  every one waits again
      1  at least one does not: it is gone, or has not failed (the others wait all the same)
      2  the command line is wrong, or Redis can't be reached
    """
    with refusals("retry"), opened(Place(redis_url, redis_ca, prefix, state_folder), queue) as opening:
        ended: Ended = "completed" if completed else "failed"
        wanted = _wanted(opening, job_ids, all_failed, ended)
        retried, refused = _retry(opening, wanted, ended, fresh)
        if as_json:
            print_json({"queue": queue, "retried": retried, "refused": refused})
        else:
            _show(retried, refused)
    raise typer.Exit(NEGATIVE if refused else 0)


def _wanted(queue: ConsoleQueue, job_ids: list[str] | None, all_failed: bool, ended: Ended) -> Iterator[list[str]]:
    """Pages of ids."""
    if bool(job_ids) == all_failed:
        raise CannotAskError("which jobs? Give their ids, or --all-failed")
    if all_failed and ended == "completed":
        raise CannotAskError("--all-failed and --completed exclude each other")
    if job_ids:
        return iter([list(dict.fromkeys(job_ids))])
    return _failed_so_far(queue)


def _failed_so_far(queue: ConsoleQueue) -> Iterator[list[str]]:
    """Page through what has failed up to now: jobs that leave make room for the next, those that stay are skipped."""
    now, seen = queue.now_ms(), set[str]()
    skip = 0
    while page := queue.ended_before("failed", now, PAGE, skip):
        yield [job_id for job_id in page if job_id not in seen]
        seen.update(page)
        left = set(queue.ended_before("failed", now, PAGE, skip))
        skip += sum(job_id in left for job_id in page)


def _retry(
    queue: ConsoleQueue, pages: Iterable[list[str]], ended: Ended, fresh: bool
) -> tuple[list[str], dict[str, str]]:
    """Retry page by page; ids that wait again, and why the others don't."""
    retried: list[str] = []
    refused: dict[str, str] = {}
    for page in pages:
        found = {job.id: job for job in queue.summaries(page)}
        for job_id in page:
            job = found.get(job_id)
            if job is None:
                refused[job_id] = _REFUSALS[Code.JOB_GONE] if job_id not in RESERVED_IDS else "no job may have this id"
                continue
            try:
                queue.retry(job, ended, fresh)
            except QueueError as error:
                refused[job_id] = _why(queue, error, ended)
            else:
                retried.append(job_id)
    return retried, refused


_REFUSALS: Final = {Code.JOB_GONE: "there is no such job"}


def _why(queue: ConsoleQueue, error: QueueError, ended: Ended) -> str:
    if error.code is Code.NOT_ACTIVE:  # the script's word for a job that is not in the set it was asked for
        state = queue.state(error.job_id)
        hint = "; run it again with --completed" if state == "completed" else ""
        return f"it has not {ended}: it is {state}{hint}"
    return _REFUSALS.get(error.code, str(error))


def _show(retried: list[str], refused: dict[str, str]) -> None:
    named = ", ".join(safe(job_id, 80) for job_id in retried[:_MOST_NAMED])
    more = f" and {len(retried) - _MOST_NAMED:,} more" if len(retried) > _MOST_NAMED else ""
    print(
        f"{count(len(retried), 'job')} {'waits' if len(retried) == 1 else 'wait'} again"
        + (f": {named}{more}" if named else "")
    )
    for job_id, why in list(refused.items())[:_MOST_NAMED]:
        print(f"bullpen retry: job {safe(job_id, 80)}: {why}", file=sys.stderr)
