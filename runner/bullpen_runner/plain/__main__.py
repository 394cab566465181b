"""`python -m bullpen_runner.plain fetch|watch`: one assignment from the environment, one exit code."""

from __future__ import annotations

import os
import sys
from typing import Final

from bullpen_protocol import plain
from bullpen_protocol.assignment import Assignment, AssignmentError
from bullpen_runner.endings import Ending, misconfigured, stopped
from bullpen_runner.leaving import broken, leave, refuse
from bullpen_runner.log import Log
from bullpen_runner.loop import Loop, Signals, Stopped

USAGE: Final = "expected `python -m bullpen_runner.plain fetch` or `python -m bullpen_runner.plain watch`"


def main(arguments: list[str]) -> int:
    """Fetch the payload, or watch over the attempt; returns the exit code."""
    if arguments not in (["fetch"], ["watch"]):
        return refuse(USAGE)
    loop = Loop()
    # To a watch, SIGTERM says that the job has ended: that is when it has something to do.
    signals = Signals(loop, shielded=arguments == ["watch"])
    try:
        assignment = Assignment.from_environment(os.environ)
    except AssignmentError as error:
        return refuse(str(error))
    log = Log(assignment, os.environ)
    try:
        ending = _run(arguments[0], assignment, loop, signals, log)
        signals.settle()
    except Stopped:
        ending = stopped()
    except Exception as error:  # noqa: BLE001 - it is we who broke: the job must not pay for it
        signals.settle()
        ending = broken(error, log)
    return leave(ending, assignment, log)


def _run(does: str, assignment: Assignment, loop: Loop, signals: Signals, log: Log) -> Ending:
    from bullpen_protocol.bullmq import ServerUrlError, SyncQueue, connect  # noqa: PLC0415 - after the signals
    from bullpen_runner.plain.fetch import Fetch  # noqa: PLC0415 - after the signals
    from bullpen_runner.plain.files import Files  # noqa: PLC0415 - after the signals
    from bullpen_runner.plain.watch import Watch  # noqa: PLC0415 - after the signals

    try:
        client = connect(assignment.redis_url, ca=assignment.redis_ca)
    except ServerUrlError as error:
        return misconfigured(str(error)).ending
    queue = SyncQueue(client, queue=assignment.queue, prefix=assignment.prefix)
    files = Files(os.environ.get(plain.FOLDER_VARIABLE) or plain.FOLDER)
    if does == "fetch":
        return Fetch(assignment, queue, files, loop, log).run()
    return Watch(assignment, queue, files, loop, log).run(signals)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # at once: no finalizer of a library delays the end of a pod
