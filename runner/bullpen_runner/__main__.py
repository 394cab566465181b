"""`python -m bullpen_runner`: one assignment from the environment, one attempt, one exit code.

The child is forked before anything heavy is imported: it imports the processor while the supervisor imports redis.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import NoReturn

from bullpen_protocol.assignment import Assignment, AssignmentError
from bullpen_runner.endings import Ending, misconfigured, stopped
from bullpen_runner.leaving import broken, leave, refuse
from bullpen_runner.log import Log
from bullpen_runner.loop import Loop, Signals, Stopped
from bullpen_runner.process import Child, spawn


def main() -> int:
    """Run the attempt; returns the exit code."""
    try:
        assignment = Assignment.from_environment(os.environ)
    except AssignmentError as error:
        return refuse(str(error))
    log = Log(assignment, os.environ)
    loop = Loop()
    signals = Signals(loop)
    try:
        child = spawn(lambda channel, supervisor: _run_child(channel, supervisor, assignment, log))
        ending = _supervise(assignment, child, loop, signals, log)
        signals.settle()
    except Stopped:
        ending = stopped()
    except Exception as error:  # noqa: BLE001 - the runner itself broke: the job must not pay for it
        signals.settle()
        ending = broken(error, log)
    return leave(ending, assignment, log)


def _run_child(channel: socket.socket, supervisor: int, assignment: Assignment, log: Log) -> NoReturn:
    from bullpen_runner.child import run  # noqa: PLC0415 - in the child only

    run(channel, supervisor, assignment.processor, assignment.settings, log.level)


def _supervise(assignment: Assignment, child: Child, loop: Loop, signals: Signals, log: Log) -> Ending:
    try:
        from bullpen_protocol.bullmq import ServerUrlError, SyncQueue, connect  # noqa: PLC0415 - after the fork
        from bullpen_runner.supervisor import Supervisor  # noqa: PLC0415 - after the fork

        try:
            client = connect(assignment.redis_url, ca=assignment.redis_ca)
        except ServerUrlError as error:
            return misconfigured(str(error)).ending
        queue = SyncQueue(client, queue=assignment.queue, prefix=assignment.prefix)
        return Supervisor(assignment, queue, child, loop, log).run(signals)
    finally:
        child.kill()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # at once: no finalizer of a library delays the end of a pod
