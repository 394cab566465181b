"""From the options of a command to the Redis of the queues."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bullpen_cli.defaults import PREFIX, STATE
from bullpen_cli.ending import CannotAskError
from bullpen_operator.local import running
from bullpen_protocol import bullmq  # its names bring redis-py when they are first used: not for --help

if TYPE_CHECKING:
    from bullpen_protocol.bullmq import ConsoleQueue


@dataclass(frozen=True, slots=True)
class Place:
    """Where the queues are, as the options say."""

    redis_url: str | None = None
    redis_ca: Path | None = None
    prefix: str = PREFIX
    state: Path = STATE


@contextmanager
def opened(place: Place, queue: str, *, block_s: float = 0) -> Iterator[ConsoleQueue]:
    """Open a queue; raises CannotAskError, ServerUrlError, RedisFaultError."""
    client = bullmq.connect(_url(place), ca=_ca(place.redis_ca), block_s=block_s)
    try:
        yield _queue(client, queue, place.prefix)
    finally:
        client.close()


def names_of_queues(queue: ConsoleQueue) -> Iterator[str]:
    """Name every queue of a queue's prefix once, as they are found."""
    seen: set[str] = set()
    cursor = -1
    while cursor:
        names, cursor = queue.scan_queues(max(0, cursor))
        yield from (name for name in names if name not in seen)
        seen.update(names)


def _url(place: Place) -> str:
    url = place.redis_url or running.redis_url(place.state)
    if url is None:
        raise CannotAskError(
            f"which Redis? None runs in the state folder {place.state}: "
            "give --redis-url (or BULLPEN_REDIS_URL), or start `bullpen local`"
        )
    return url


def _ca(path: Path | None) -> str | None:
    if path is not None and not path.is_file():
        raise CannotAskError(f"--redis-ca: {path} is no file; expected certificates in PEM")
    return None if path is None else str(path)


def _queue(client: object, queue: str, prefix: str) -> ConsoleQueue:
    try:
        return bullmq.ConsoleQueue(client, queue, prefix)  # type: ignore[arg-type]  # what connect() makes
    except ValueError as error:
        raise CannotAskError(str(error)) from error
