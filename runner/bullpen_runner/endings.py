"""How an attempt ends inside its pod: the exit code, and the last words in the termination message."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from bullpen_protocol.assignment import VALUE_LIMIT_BYTES, ExitCode, RunnerOutcome, TerminationMessage


@dataclass(frozen=True, slots=True)
class Ending:
    """What the runner came to. `message` is None when the last words are said already."""

    code: ExitCode
    message: TerminationMessage | None = None


class EndedError(Exception):
    """Leave at once with this ending; whoever raised it has no more to write."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.message.reason if ending.message else ending.code.name)
        self.ending = ending


def ended(code: ExitCode, outcome: RunnerOutcome, reason: str) -> EndedError:
    """Make the exception of an ending that is no finish."""
    return EndedError(Ending(code, TerminationMessage(outcome, reason)))


def superseded(reason: str) -> EndedError:
    """The fence belongs to somebody else or the job is gone: a normal ending."""
    return ended(ExitCode.SUPERSEDED, RunnerOutcome.SUPERSEDED, reason)


def give_back(reason: str) -> EndedError:
    """Redis stayed away until the deadline: no attempt is spent."""
    return ended(ExitCode.GIVE_BACK, RunnerOutcome.GIVE_BACK, reason)


def store_away(reason: str) -> EndedError:
    """The graph store stayed away until the deadline: no attempt is spent."""
    return ended(ExitCode.GIVE_BACK, RunnerOutcome.STORE_AWAY, reason)


def misconfigured(reason: str) -> EndedError:
    """The configuration is wrong: never the job's fault."""
    return ended(ExitCode.BAD_ASSIGNMENT, RunnerOutcome.GIVE_BACK, reason)


def stopped() -> Ending:
    """SIGTERM or SIGINT, early enough."""
    message = TerminationMessage(RunnerOutcome.TERMINATED, "it was stopped before anything was persisted")
    return Ending(ExitCode.TERMINATED, message)


def completed(value: str) -> TerminationMessage:
    """Say that it completed with *value*, which is JSON text; one that is too long is left out."""
    if len(value) > 2 * VALUE_LIMIT_BYTES:
        return TerminationMessage(RunnerOutcome.COMPLETED)
    return TerminationMessage(RunnerOutcome.COMPLETED, value=json.loads(value), has_value=True)


def write_message(path: str, message: TerminationMessage) -> bool:
    """Put the last words where the kubelet (locally the launcher) reads them; report whether it worked.

    In a pod the file is a mount of its own, so it can't be replaced by a rename: it is overwritten in one write.
    A reader that meets an empty or torn file takes it as no message.
    """
    data = message.to_text().encode()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.pwrite(handle, data, 0)
            os.ftruncate(handle, len(data))
        finally:
            os.close(handle)
    except OSError:
        return False
    return True
