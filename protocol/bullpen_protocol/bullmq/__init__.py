"""BullMQ's data structures over redis-py: operations written once, carried out by AsyncQueue or SyncQueue.

Names are imported when they are first asked for: a runner pays for redis, never for croniter or the other client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from bullpen_protocol.bullmq.async_queue import AsyncQueue
    from bullpen_protocol.bullmq.browsing import STATES
    from bullpen_protocol.bullmq.cancelling import CancelResult
    from bullpen_protocol.bullmq.claiming import Claimed, Empty
    from bullpen_protocol.bullmq.connecting import connect, connect_async
    from bullpen_protocol.bullmq.console_queue import ConsoleQueue
    from bullpen_protocol.bullmq.encoding import to_json
    from bullpen_protocol.bullmq.errors import (
        Code,
        JobOptionsError,
        QueueError,
        RedisAwayError,
        RedisFaultError,
        RedisRefusedError,
        ServerUrlError,
    )
    from bullpen_protocol.bullmq.finishing import GIVEN_BACK, Finish
    from bullpen_protocol.bullmq.job import BULLPEN_FIELD, CANCEL_FIELD, Job, Location
    from bullpen_protocol.bullmq.keys import RESERVED_IDS
    from bullpen_protocol.bullmq.locking import HoldResult
    from bullpen_protocol.bullmq.policy import keep_logs
    from bullpen_protocol.bullmq.standing import Standing
    from bullpen_protocol.bullmq.sync_queue import SyncQueue
    from bullpen_protocol.bullmq.waking import wait_any

_HOMES: Final = {
    "async_queue": ("AsyncQueue",),
    "browsing": ("STATES",),
    "cancelling": ("CancelResult",),
    "claiming": ("Claimed", "Empty"),
    "connecting": ("connect", "connect_async"),
    "console_queue": ("ConsoleQueue",),
    "encoding": ("to_json",),
    "errors": (
        "Code",
        "JobOptionsError",
        "QueueError",
        "RedisAwayError",
        "RedisFaultError",
        "RedisRefusedError",
        "ServerUrlError",
    ),
    "finishing": ("GIVEN_BACK", "Finish"),
    "job": ("BULLPEN_FIELD", "CANCEL_FIELD", "Job", "Location"),
    "keys": ("RESERVED_IDS",),
    "locking": ("HoldResult",),
    "policy": ("keep_logs",),
    "standing": ("Standing",),
    "sync_queue": ("SyncQueue",),
    "waking": ("wait_any",),
}
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}

__all__ = (
    "BULLPEN_FIELD",
    "CANCEL_FIELD",
    "GIVEN_BACK",
    "RESERVED_IDS",
    "STATES",
    "AsyncQueue",
    "CancelResult",
    "Claimed",
    "Code",
    "ConsoleQueue",
    "Empty",
    "Finish",
    "HoldResult",
    "Job",
    "JobOptionsError",
    "Location",
    "QueueError",
    "RedisAwayError",
    "RedisFaultError",
    "RedisRefusedError",
    "ServerUrlError",
    "Standing",
    "SyncQueue",
    "connect",
    "connect_async",
    "keep_logs",
    "to_json",
    "wait_any",
)


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
