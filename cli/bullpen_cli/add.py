"""`bullpen add`: add a job as a producer does, and follow it if asked to."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from bullpen_cli.connecting import Place, opened
from bullpen_cli.defaults import PREFIX, STATE
from bullpen_cli.ending import NEGATIVE, CannotAskError, print_json, refusals
from bullpen_cli.following import BLOCK_S, End, follow
from bullpen_cli.options import AsJson, Prefix, QueueName, RedisCa, RedisUrl, StateFolder
from bullpen_operator.escaping import safe
from bullpen_operator.fields import parse_duration
from bullpen_protocol.bullmq.adding import NewJob
from bullpen_protocol.bullmq.errors import RedisAwayError

if TYPE_CHECKING:
    from bullpen_protocol.bullmq import ConsoleQueue

DATA_LIMIT_BYTES: Final = 32 << 20
"""What a runner accepts; see docs/runner.md."""
_STRATEGIES: Final = ("fixed", "exponential")


def add(  # noqa: PLR0913 - options of a command line
    queue: QueueName,
    name: Annotated[str, typer.Argument(help="Name of the job: which job type runs it.", metavar="NAME")],
    data: Annotated[
        str, typer.Argument(help="The payload in JSON; - reads standard input, @FILE a file.", metavar="[DATA|-|@FILE]")
    ] = "{}",
    *,
    attempts: Annotated[int, typer.Option(min=1, help="How often it may be tried.")] = 1,
    backoff: Annotated[
        str | None,
        typer.Option(help="Time between attempts: 5s, or exponential:2s (2 s, 4 s, 8 s, ...).", metavar="DURATION"),
    ] = None,
    delay: Annotated[str | None, typer.Option(help="Not before this time has passed.", metavar="DURATION")] = None,
    priority: Annotated[
        int | None, typer.Option(min=0, help="1 goes first, 2,097,151 last; jobs without one go before all.")
    ] = None,
    job_id: Annotated[
        str | None, typer.Option(help="An id of its own: one that exists already adds nothing.", metavar="ID")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow it to its end; its value goes to stdout.")] = False,
    redis_url: RedisUrl = None,
    redis_ca: RedisCa = None,
    prefix: Prefix = PREFIX,
    state_folder: StateFolder = STATE,
    as_json: AsJson = False,
) -> None:
    """Add a job to a queue, as a producer does.

    With --wait its states, progress and attempts go to standard error, its value in JSON to standard output.

    \b
    Examples:
      bullpen add http-requests http-ingest @payload.json
      bullpen add mails send '{"to": "ann"}' --attempts 5 --backoff exponential:2s
      jq -c .payload big.json | bullpen add http-requests http-ingest - --wait
      bullpen add mails send --delay 10m --priority 1 --job-id welcome-ann

    \b
    Exit code:
      0  it was added (with --wait: it completed)
      1  with --wait: it failed, or is gone
      2  the command line is wrong, or Redis can't be reached; nothing was added
    """
    with refusals("add"):
        payload = _payload(data)
        options = {
            "attempts": attempts if attempts > 1 else None,
            "backoff": None if backoff is None else _backoff(backoff),
            "delay": None if delay is None else _milliseconds("--delay", delay),
            "priority": priority,
        }
        with opened(Place(redis_url, redis_ca, prefix, state_folder), queue, block_s=BLOCK_S if wait else 0) as opening:
            place = opening.last_event() if wait else ""
            added = _added(opening, NewJob(name, payload, options), job_id)
            if not wait:
                _tell(queue, added, as_json)
                return
            raise typer.Exit(_followed(opening, added, place, as_json))


def _added(queue: ConsoleQueue, job: NewJob, job_id: str | None) -> str:
    queue.now_ms()  # whoever can't be reached at all has added nothing
    try:
        return queue.add(job.name, job.data, job.opts, job_id)
    except RedisAwayError as error:
        hint = "" if job_id is not None else "; a job with an id of its own (--job-id) can be added twice without harm"
        raise CannotAskError(f"Redis went away before it answered: the job may have been added{hint}") from error


def _tell(queue: str, job_id: str, as_json: bool) -> None:
    if as_json:
        print_json({"queue": queue, "id": job_id})
    else:
        print(f"added job {safe(job_id)} to queue {safe(queue)}")


def _followed(queue: ConsoleQueue, job_id: str, place: str, as_json: bool) -> int:
    print(f"added job {safe(job_id)} to queue {safe(queue.queue)}", file=sys.stderr)
    end = follow(queue, job_id, place, lambda sentence: print(sentence, file=sys.stderr))
    if as_json:
        print_json({"queue": queue.queue, "id": job_id, **end.body})
    elif end.state == "completed":
        print(_ascii(end))
    else:
        print(f"bullpen add: {end.sentence}", file=sys.stderr)
    return 0 if end.state == "completed" else NEGATIVE


def _ascii(end: End) -> str:
    return json.dumps(end.value)


def _payload(text: str) -> str:
    """Read and check the payload; it is sent as it was written."""
    body = _source(text)
    if len(body) > DATA_LIMIT_BYTES:
        raise CannotAskError(f"the payload is {len(body):,} bytes; at most {DATA_LIMIT_BYTES:,} are accepted")
    try:
        decoded = body.decode()
        json.loads(decoded, parse_constant=_refuse_constant)
    except RecursionError:
        raise CannotAskError("the payload is nested too deep") from None
    except json.JSONDecodeError as error:
        hint = "" if text[:1] in "-@[{" else "; text needs quotes of its own: '\"text\"'"
        raise CannotAskError(f"the payload is not JSON: {error.msg} at character {error.pos}{hint}") from None
    except UnicodeDecodeError as error:
        raise CannotAskError(f"the payload is not UTF-8: byte {error.start}") from None
    except ValueError as error:  # NaN, an integer of more than 4,300 digits
        raise CannotAskError(f"the payload is not JSON: {error}") from None
    return decoded


def _source(text: str) -> bytes:
    if text == "-":
        return sys.stdin.buffer.read(DATA_LIMIT_BYTES + 1)
    if not text.startswith("@"):
        return text.encode(errors="surrogateescape")
    try:
        with Path(text[1:]).open("rb") as file:
            return file.read(DATA_LIMIT_BYTES + 1)
    except OSError as error:
        raise CannotAskError(f"{text[1:]}: {error.strerror}; expected a file with JSON") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"it holds {name}")


def _backoff(text: str) -> dict[str, Any]:
    kind, separator, delay = text.rpartition(":")
    kind = kind if separator else "fixed"
    if kind not in _STRATEGIES:
        raise CannotAskError(f"--backoff: expected 5s, fixed:5s or exponential:5s, got {text[:40]!r}")
    return {"type": kind, "delay": _milliseconds("--backoff", delay)}


def _milliseconds(option: str, text: str) -> int:
    try:
        duration = parse_duration(text)
    except ValueError as error:
        raise CannotAskError(f"{option}: {error}") from None
    assert isinstance(duration, timedelta)
    return round(duration.total_seconds() * 1000)
