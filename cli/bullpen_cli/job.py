"""`bullpen job`: why is this job where it is? One sentence first, then facts, then the end of its log."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bullpen_cli.connecting import Place, opened
from bullpen_cli.defaults import PREFIX, STATE
from bullpen_cli.ending import NEGATIVE, CannotAskError, print_json, refusals
from bullpen_cli.job_facts import Facts, body, given_back, missing, sentence
from bullpen_cli.jobs import shown_progress
from bullpen_cli.options import AsJson, JobId, Prefix, QueueName, RedisCa, RedisUrl, StateFolder
from bullpen_cli.telling import facts as aligned
from bullpen_cli.telling import moment
from bullpen_operator.escaping import safe
from bullpen_operator.local import running
from bullpen_operator.naming import LABEL_JOB_ID, LABEL_QUEUE, label_value
from bullpen_protocol.bullmq.keys import RESERVED_IDS

if TYPE_CHECKING:
    from bullpen_protocol.bullmq import ConsoleQueue


def job(  # noqa: PLR0913 - options of a command line
    queue: QueueName,
    job_id: JobId,
    *,
    lines: Annotated[int, typer.Option("--log", min=0, max=100_000, help="Lines of its log, the last ones.")] = 10,
    data: Annotated[bool, typer.Option("--data", help="Print its payload instead, and nothing else.")] = False,
    redis_url: RedisUrl = None,
    redis_ca: RedisCa = None,
    prefix: Prefix = PREFIX,
    state_folder: StateFolder = STATE,
    as_json: AsJson = False,
) -> None:
    """Say why a job is where it is, in one sentence; then the facts, where its pod is, and the end of its log.

    \b
    Examples:
      bullpen job http-requests 7
      bullpen job http-requests 7 --log 1000
      bullpen job http-requests 7 --json | jq -r .why
      bullpen job http-requests 7 --data | bullpen process http-ingest

    \b
    Exit code:
      0  here it is
      1  there is no such job
      2  the command line is wrong, or Redis can't be reached
    """
    with refusals("job"), opened(Place(redis_url, redis_ca, prefix, state_folder), queue) as opening:
        found = look(opening, job_id, lines)
        if found is None:
            print(missing(queue, prefix, job_id), file=sys.stderr)
            raise typer.Exit(NEGATIVE)
        where = running.attempt_folder(state_folder, found.attempt_name) if found.attempt_name else None
        folder = None if where is None else where.path
        if data:
            print(_payload(found.job.data))
        elif as_json:
            print_json(body(found) | {"where": where_is(found, folder)})
        else:
            _show(found, folder)


def look(queue: ConsoleQueue, job_id: str, lines: int = 0) -> Facts | None:
    """Read all that there is to know of a job; None: there is none."""
    if job_id in RESERVED_IDS:
        raise CannotAskError(f"{job_id!r} is a key of the queue itself; no job should have it as its id")
    now = queue.now_ms()
    job = queue.load(job_id)
    if job is None:
        return None
    log, count = queue.logs(job_id, lines) if lines else ([], 0)
    return Facts(queue.queue, job, queue.standing(job_id), queue.location(job_id), now, tuple(log), count)


def where_is(found: Facts, folder: Path | None) -> str:
    """Say where the last attempt is to be looked at: its folder here, or the command that finds its pod."""
    if folder is not None:
        return str(folder)
    if not found.attempt_name:
        return ""
    labels = {LABEL_QUEUE: label_value(found.queue), LABEL_JOB_ID: label_value(found.job.id)}
    selector = ",".join([*(f"{name}={value}" for name, value in labels.items()), f"job-name={found.attempt_name}"])
    return f"kubectl get pods --all-namespaces -l {selector}"


def _show(found: Facts, folder: Path | None) -> None:
    print(sentence(found))
    print()
    print(aligned(_rows(found, folder)))
    if found.log:
        shown = len(found.log)
        print(f"\nlog, the last {shown} of {found.log_count}:" if shown < found.log_count else "\nlog:")
        for line in found.log:
            print(f"  {safe(line, 1000)}")


def _rows(found: Facts, folder: Path | None) -> list[tuple[str, str]]:
    job = found.job
    return [
        ("name", job.name),
        ("state", found.standing.state),
        ("attempts", f"{job.atm} of {max(1, job.attempts)} made, {job.ats} started"),
        ("added", moment(job.timestamp)),
        ("started", moment(job.processed_on) if job.processed_on else ""),
        ("ended", moment(job.finished_on) if job.finished_on else ""),
        ("progress", shown_progress(job)),
        ("value", job.returnvalue or ""),
        ("reason", job.failed_reason or ""),
        ("given back", given_back(found) if found.give_backs else ""),
        ("payload", f"{len(job.data.encode()):,} bytes; print it with --data"),
        ("attempt", found.attempt_name),
        ("pod uid", found.pod_uid),
        ("look at", where_is(found, folder)),
    ]


def _payload(text: str) -> str:
    """Escape JSON so that no terminal obeys it; what is no JSON is printed as a JSON string."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    return text if text.isascii() and text.isprintable() else json.dumps(value)
