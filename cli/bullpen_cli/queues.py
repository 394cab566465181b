"""`bullpen queues`: which queues there are, and how many jobs of each state they hold."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from bullpen_cli.connecting import Place, names_of_queues, opened
from bullpen_cli.defaults import PREFIX, STATE
from bullpen_cli.ending import print_json, refusals, say
from bullpen_cli.options import AsJson, Prefix, RedisCa, RedisUrl, StateFolder
from bullpen_cli.telling import table
from bullpen_protocol import bullmq

if TYPE_CHECKING:
    from bullpen_protocol.bullmq import ConsoleQueue

COLUMNS: Final = ("waiting", "prioritized", "active", "delayed", "waiting-children", "completed", "failed")


def queues(
    limit: Annotated[int, typer.Option(min=1, help="At most so many queues.")] = 1000,
    redis_url: RedisUrl = None,
    redis_ca: RedisCa = None,
    prefix: Prefix = PREFIX,
    state_folder: StateFolder = STATE,
    as_json: AsJson = False,
) -> None:
    """List the queues of a prefix with their jobs by state.

    Redis is scanned in small steps and never held up; with millions of keys that takes some seconds.

    \b
    Examples:
      bullpen queues
      bullpen queues --redis-url redis://127.0.0.1:6379 --prefix '{bull}'
      bullpen queues --json | jq -r '.[] | select(.failed > 0) | .queue'

    \b
    Exit code:
      0  here they are, though there may be none
      2  the command line is wrong, or Redis can't be reached
    """
    with refusals("queues"), opened(Place(redis_url, redis_ca, prefix, state_folder), "any") as opening:
        names = list(islice(names_of_queues(opening), limit + 1))
        rows = [_row(opening, name) for name in sorted(names[:limit])]
        if as_json:
            print_json(rows)
            return
        if not rows:
            say("queues", f"there is no queue under the prefix {prefix!r} yet")
            return
        print(table(("queue", *COLUMNS, ""), [_cells(row) for row in rows]))
        if len(names) > limit:
            say("queues", f"there are more than {limit:,}; show them with --limit")


def _row(opening: ConsoleQueue, name: str) -> dict[str, Any]:
    queue = bullmq.ConsoleQueue(opening.client, name, opening.prefix)
    counts = queue.counts()
    counts["waiting"] = counts.pop("wait") + counts.pop("paused")
    return {"queue": name, "paused": queue.paused(), **{column: counts[column] for column in COLUMNS}}


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (row["queue"], *(str(row[column]) for column in COLUMNS), "paused" if row["paused"] else "")
