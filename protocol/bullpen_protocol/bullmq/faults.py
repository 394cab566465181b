"""From redis-py's exceptions to ours: nothing above the drivers names redis."""

from __future__ import annotations

import re
from typing import Final

from redis import exceptions

from bullpen_protocol.bullmq.errors import SCRIPT_FAILED, RedisAwayError, RedisFaultError, RedisRefusedError

FAULTS: Final = (exceptions.RedisError, exceptions.RedisClusterException, OSError)
"""All that a call of redis-py raises when Redis did not do what it was asked."""

_MESSAGE_LIMIT: Final = 256  # replies may quote what was sent
# A RedisClusterException is one, too: the client could not learn where the nodes are.
_UNREACHABLE: Final = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.RedisClusterException,
    OSError,
)
_NO_ENTRY: Final = (exceptions.AuthenticationError, exceptions.AuthorizationError)
# Answers of a server that can't serve at the moment and has done nothing.
_NOT_NOW: Final = (
    exceptions.BusyLoadingError,
    exceptions.ReadOnlyError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
    exceptions.SlotNotCoveredError,
    exceptions.MasterDownError,
)
_IN_SCRIPT: Final = re.compile(r": -?([A-Z]{3,}) ")
_REPLICA_WORDS: Final = ("READONLY", "UNBLOCKED")
"""The second to whoever was blocking when the server became a replica."""
_NOT_NOW_WORDS: Final = (*_REPLICA_WORDS, "LOADING", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN", "BUSY", "NOREPLICAS")


def translate(error: Exception) -> RedisFaultError:
    """Make one of FAULTS ours; raise the result `from` it."""
    message = f"{type(error).__name__}: {error}"[:_MESSAGE_LIMIT]
    if isinstance(error, _NO_ENTRY):
        return RedisRefusedError(message, "NOAUTH")
    word = _first_word(error)
    if isinstance(error, _NOT_NOW) or word in _NOT_NOW_WORDS:
        return RedisAwayError(message, maybe_done=False)
    if isinstance(error, _UNREACHABLE):
        return RedisAwayError(message)
    return RedisRefusedError(message, word)


def demoted(error: Exception) -> bool:
    """Whether a replica answered: the address may lead to a new master by now, but only a new connection gets there."""
    return isinstance(error, exceptions.ReadOnlyError) or _first_word(error) in _REPLICA_WORDS


def _first_word(error: Exception) -> str:
    if isinstance(error, exceptions.OutOfMemoryError):
        return "OOM"
    if isinstance(error, exceptions.NoPermissionError):
        return "NOPERM"
    text = str(error)
    word = text.partition(" ")[0]
    if "user_script" not in text or word.isupper():
        return word
    inner = _IN_SCRIPT.search(text)  # how Redis 6.2 passes on the error of a command in a script
    return inner[1] if inner and inner[1] != "ERR" else SCRIPT_FAILED
