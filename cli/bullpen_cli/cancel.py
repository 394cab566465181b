"""`bullpen cancel`: end a job that runs, or fail one that waits."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from bullpen_cli.connecting import Place, opened
from bullpen_cli.defaults import PREFIX, STATE
from bullpen_cli.ending import NEGATIVE, print_json, refusals
from bullpen_cli.following import BLOCK_S, End, follow
from bullpen_cli.job import look
from bullpen_cli.job_facts import missing, sentence
from bullpen_cli.options import AsJson, JobId, Prefix, QueueName, RedisCa, RedisUrl, StateFolder
from bullpen_operator.escaping import safe
from bullpen_protocol import bullmq  # its names bring redis-py when they are first used: not for --help

if TYPE_CHECKING:
    from bullpen_protocol.bullmq import CancelResult, ConsoleQueue

CANCELLED: Final = "cancelled"

_ASKED: Final = {
    1: "its operator ends the running attempt",
    2: "it does not run yet; it is next now and fails, without running, when it is claimed",
}
"""What each good answer of CancelResult means."""


def cancel(  # noqa: PLR0913 - options of a command line
    queue: QueueName,
    job_id: JobId,
    *,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it has ended.")] = True,
    timeout: Annotated[float, typer.Option(min=1, help="Wait for at most so many seconds.")] = 180.0,
    redis_url: RedisUrl = None,
    redis_ca: RedisCa = None,
    prefix: Prefix = PREFIX,
    state_folder: StateFolder = STATE,
    as_json: AsJson = False,
) -> None:
    """End a job that runs, or fail one that waits or is delayed: "cancelled", with no more attempts.

    A running attempt gets its grace period. One that is already writing its results completes. The operator looks for
    cancelled jobs at least once a minute.

    \b
    Examples:
      bullpen cancel http-requests 7
      bullpen cancel http-requests 7 --no-wait
      bullpen jobs mails --state waiting --json | jq -r '.[].id' | xargs -n 1 bullpen cancel mails --no-wait

    \b
    Exit code:
      0  it was cancelled (with --no-wait: it was asked for)
      1  it was not: it had ended or is gone, runs under a worker that is not Bullpen's, waits for children, completed
         first, or has not ended in time
      2  the command line is wrong, or Redis can't be reached
    """
    with (
        refusals("cancel"),
        opened(Place(redis_url, redis_ca, prefix, state_folder), queue, block_s=BLOCK_S) as opening,
    ):
        place = opening.last_event()
        result = opening.cancel(job_id)
        asked = _ASKED.get(result)
        if asked is None:
            _answer(job_id, queue, End("refused", reason=_refusal(opening, result, job_id)), as_json)
        if opening.paused() and result is not bullmq.CancelResult.ATTEMPT:
            wait, asked = False, f"{asked}; the queue is paused, so that is after it is resumed"
        if not wait:
            _answer(job_id, queue, End("asked", reason=asked), as_json)
        _tell(f"job {safe(job_id)}: {asked}")
        _answer(job_id, queue, follow(opening, job_id, place, _tell, timeout), as_json)


def _tell(what: str) -> None:
    print(what, file=sys.stderr)


def _refusal(queue: ConsoleQueue, result: CancelResult, job_id: str) -> str:
    found = look(queue, job_id)
    if found is None or result is bullmq.CancelResult.GONE:
        return missing(queue.queue, queue.prefix, job_id)
    if result is bullmq.CancelResult.NOT_OURS:
        return f"only its own worker can end it. {sentence(found)}"
    if found.standing.state == "waiting-children":
        return f"cancel its children; it follows them. {sentence(found)}"
    return f"there is nothing to cancel. {sentence(found)}"


def _answer(job_id: str, queue: str, end: End, as_json: bool) -> NoReturn:
    """Say how it came out, and leave."""
    done = end.state == "asked" or (end.state == "failed" and end.reason == CANCELLED)
    if as_json:
        print_json({"queue": queue, "id": job_id, "cancelled": done, **end.body})
    elif done:
        print(f"job {safe(job_id)}: {CANCELLED}" if end.state == "failed" else f"job {safe(job_id)}: {end.reason}")
    else:
        print(f"bullpen cancel: job {safe(job_id)} was not cancelled: {_why_not(end)}", file=sys.stderr)
    raise typer.Exit(0 if done else NEGATIVE)


def _why_not(end: End) -> str:
    if end.state == "refused":
        return end.reason
    if end.state == "late":
        return "it has not ended in time; does an operator serve its queue? The request stands"
    return end.sentence
