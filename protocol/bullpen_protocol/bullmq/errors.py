"""What can go wrong between Bullpen and a queue: Redis is away, Redis refuses, or BullMQ's script says no."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

SCRIPT_FAILED: Final = "SCRIPT"
"""`kind` of a RedisRefusedError when a script broke on what it was given."""


UNFIT: Final = "UNFIT"
"""`kind` of a RedisRefusedError of ours: the server must not hold queues, it said so itself."""


class Code(IntEnum):
    """What BullMQ's scripts return instead of a result (and hold.lua, with the same meaning)."""

    JOB_GONE = -1
    """There is no hash of that job."""
    NO_LOCK = -2
    """The lock ran out: hold the job first, if its fence is still ours."""
    NOT_ACTIVE = -3
    """The id is not in the active list."""
    PENDING_CHILDREN = -4
    """A parent can't complete before its children."""
    NO_PARENT = -5
    """The parent named by a job to be added does not exist."""
    OTHER_TOKEN = -6
    """The lock is somebody else's: write nothing more."""
    FAILED_CHILDREN = -9
    """A parent can't complete: a child with failParentOnFailure has failed."""
    UNKNOWN = -1000
    """A code that this version of Bullpen does not know."""

    @classmethod
    def of(cls, code: int) -> Code:
        """Name *code*; one never seen before is UNKNOWN."""
        try:
            return cls(code)
        except ValueError:
            return cls.UNKNOWN


_SENTENCES = {
    Code.JOB_GONE: "the job is gone",
    Code.NO_LOCK: "its lock has run out",
    Code.NOT_ACTIVE: "it is not active",
    Code.PENDING_CHILDREN: "it has children that have not finished",
    Code.NO_PARENT: "its parent does not exist",
    Code.OTHER_TOKEN: "its lock belongs to another attempt",
    Code.FAILED_CHILDREN: "a child that fails its parent has failed",
}


class QueueError(Exception):
    """BullMQ refused a move of a job; `code` says why. Nothing was moved."""

    def __init__(self, code: int, job_id: str) -> None:
        self.code = Code.of(code)
        self.job_id = job_id
        super().__init__(f"job {job_id}: {_SENTENCES.get(self.code, f'script code {code}')}")


class RedisFaultError(Exception):
    """Redis did not do what it was asked. One of the two below."""


class RedisAwayError(RedisFaultError):
    """Redis can't be reached or can't serve right now: an outage, never the job's fault.

    `maybe_done`: the command may have been executed, only its answer was lost.
    """

    def __init__(self, message: str, *, maybe_done: bool = True) -> None:
        super().__init__(message)
        self.maybe_done = maybe_done


class RedisRefusedError(RedisFaultError):
    """Redis answered with an error. `kind`: NOPERM, NOAUTH, OOM, WRONGTYPE ... or SCRIPT_FAILED.

    A script may have run up to the command that failed: Redis takes nothing back.
    """

    def __init__(self, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind


class ServerUrlError(ValueError):
    """A Redis URL that can't be used; the sentence never repeats its credentials."""


class JobOptionsError(ValueError):
    """A job that BullMQ would not accept; the sentence names the option."""
