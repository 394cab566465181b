"""How a process of ours leaves: the last words, one line of log, the exit code."""

from __future__ import annotations

import os
import sys
from typing import Final

from bullpen_protocol.assignment import Assignment, ExitCode, RunnerOutcome, TerminationMessage
from bullpen_runner.endings import Ending, write_message
from bullpen_runner.log import Log

DEFAULT_TERMINATION_LOG: Final = "/dev/termination-log"


def leave(ending: Ending, assignment: Assignment, log: Log) -> int:
    """Say what is left to be said; returns the exit code."""
    if ending.message is not None:
        log.info("ended", code=int(ending.code), outcome=ending.message.outcome.value, reason=ending.message.reason)
        write_message(assignment.termination_log, ending.message)
    log.close()
    return int(ending.code)


def broken(error: Exception, log: Log) -> Ending:
    """Make the ending of a fault of our own: the job must not pay for it."""
    from bullpen_runner.failure import reason_of, stack_of  # noqa: PLC0415 - rarely needed

    log.error("the runner broke", stack=stack_of(error, ours=True))
    return Ending(
        ExitCode.SOFTWARE, TerminationMessage(RunnerOutcome.GIVE_BACK, f"the runner broke: {reason_of(error)}")
    )


def refuse(reason: str) -> int:
    """Say what is wrong where an operator and a person find it; there is no log without an assignment."""
    message = TerminationMessage(RunnerOutcome.GIVE_BACK, reason)
    write_message(os.environ.get("BULLPEN_TERMINATION_LOG") or DEFAULT_TERMINATION_LOG, message)
    sys.stderr.write(f"bullpen_runner: {reason}\n")
    return int(ExitCode.BAD_ASSIGNMENT)
