"""Shell completion of queues and job ids. It asks the Redis that the command would ask; in doubt it offers nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

import typer

MOST: Final = 50
"""Proposals; also job ids that are read of each state."""
_STATES: Final = ("failed", "active", "delayed", "waiting", "completed")


def queue_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the queues of the prefix."""
    return _quietly(lambda: _queues(ctx, incomplete))


def job_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer jobs of the queue that stands before the id: failed ones first."""
    return _quietly(lambda: _ids(ctx, incomplete))


def _queues(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    from bullpen_cli.connecting import names_of_queues, opened  # noqa: PLC0415 - only when Tab is pressed

    with opened(_place(ctx), "any") as queue:
        yield from (name for name in names_of_queues(queue) if name.startswith(incomplete))


def _ids(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    from bullpen_cli.connecting import opened  # noqa: PLC0415 - only when Tab is pressed

    with opened(_place(ctx), ctx.params["queue"]) as queue:
        for state in _STATES:
            yield from (job_id for job_id in queue.ids(state, MOST) if job_id.startswith(incomplete))


def _place(ctx: typer.Context) -> Any:
    from bullpen_cli.connecting import Place  # noqa: PLC0415 - only when Tab is pressed

    given = ctx.params
    return Place(given["redis_url"], given["redis_ca"], given["prefix"], given["state_folder"])


def _quietly(proposals: Callable[[], Iterator[str]]) -> list[str]:
    try:
        return [text for text in islice(proposals(), MOST) if text.isprintable()]
    except Exception:  # noqa: BLE001 - a shell that completes shows no errors
        return []
