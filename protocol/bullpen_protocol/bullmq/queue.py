"""What both clients share: a queue's keys and its clock."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bullpen_protocol.bullmq.clock import ServerClock
from bullpen_protocol.bullmq.keys import Keys
from bullpen_protocol.bullmq.steps import NOW, Argument, Command, Step


class BaseQueue:
    """One queue over a client that somebody else made and will close."""

    def __init__(self, client: Any, queue: str, prefix: str = "bull") -> None:
        self.keys = Keys(queue, prefix)
        self.client = client
        self.clock = ServerClock()
        self.clustered = hasattr(client, "get_node_from_key")
        if self.clustered and not _tagged(self.keys.base):
            message = f"in Redis Cluster the prefix needs a hash tag: {{{prefix}}} instead of {prefix}"
            raise ValueError(message)

    @property
    def queue(self) -> str:
        """Its name."""
        return self.keys.queue

    @property
    def prefix(self) -> str:
        """What all its keys begin with, before the name; `bull` unless the producer says otherwise."""
        return self.keys.prefix

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.keys.base.rstrip(':')!r})"

    def _options(self, command: Command) -> dict[str, Any]:
        """In a cluster, a command without a key is for the node that holds the queue."""
        if not command.keyless or not self.clustered:
            return {}
        return {"target_nodes": self.client.get_node_from_key(self.keys.marker)}


def encoded(args: Iterable[Argument]) -> list[Argument]:
    """Encode what is not plain ASCII: hiredis, which packs commands, knows no surrogateescape."""
    return [arg.encode(errors="surrogateescape") if isinstance(arg, str) and not arg.isascii() else arg for arg in args]


def may_repeat(step: Step) -> bool:
    """Whether a lost answer may be asked for again."""
    return step is NOW or step.again


def _tagged(base: str) -> bool:
    opening = base.find("{")
    return opening >= 0 and base.find("}", opening) > opening + 1
