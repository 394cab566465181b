"""The supervisor: holds the job, hands the payload to the child, and brings what comes of it to an end.

PID 1 in a pod. One thread, one loop; no pydantic, no processor, no Kubernetes.
"""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from typing import Any

from bullpen_protocol.assignment import Assignment, ExitCode, RunnerOutcome, TerminationMessage
from bullpen_protocol.bullmq import Job, RedisAwayError, SyncQueue
from bullpen_runner.endings import EndedError, Ending, ended, give_back, misconfigured, superseded
from bullpen_runner.frames import Frame, FrameError, Kind, encode_json
from bullpen_runner.lease import Lease
from bullpen_runner.log import Level, Log
from bullpen_runner.loop import Loop, Signals, Stopped
from bullpen_runner.memory import OomKills
from bullpen_runner.output import Output
from bullpen_runner.persist import ROUNDS, Persist, RefusedError
from bullpen_runner.process import Child
from bullpen_runner.relay import Relay
from bullpen_runner.values import PayloadError, check_size


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt fails."""

    reason: str
    stack: str = ""
    unrecoverable: bool = False


@dataclass(frozen=True, slots=True)
class Returned:
    """What the processor returned; `value` is JSON text, None while the store's answer is needed for it."""

    value: str | None
    write: bytes | None = None


class Supervisor:
    """One attempt, from its hold to its ending."""

    def __init__(self, assignment: Assignment, child: Child, loop: Loop, signals: Signals, log: Log) -> None:
        self._assignment = assignment
        self._child = child
        self._loop = loop
        self._signals = signals
        self._log = log
        self._started = time.monotonic()
        self._deadline = self._started + assignment.timeout_s
        self._kills = OomKills()
        self._write: bytes | None = None
        self._came: Returned | Failure | EndedError | None = None
        self._outputs = (Output(child.out, Level.INFO, log), Output(child.err, Level.WARN, log))

    def run(self, queue: SyncQueue) -> Ending:
        """Run the attempt. The child is dead when this returns."""
        mine = self._assignment
        lease = Lease(queue, mine, self._loop, self._log)
        self._relay = Relay(queue, mine.job_id, lease, self._loop, self._log)
        try:
            self._listen()
            job = self._bind(queue, lease)
            lease.keep()
            came = self._work(job)
            self._signals.shield()
            self._relay.flush()
            return self._settle(job, came, Persist(mine, queue, lease, self._loop, self._log))
        except EndedError as error:
            return error.ending
        except Stopped:
            message = TerminationMessage(RunnerOutcome.TERMINATED, "SIGTERM came before anything was persisted")
            return Ending(ExitCode.TERMINATED, message)
        finally:
            self._end_child()

    def _listen(self) -> None:
        self._signals.on_child = self._on_child
        self._loop.watch(self._child.fileno(), self._on_channel)
        for output in self._outputs:
            output.watch(self._loop)
        self._on_child()

    def _bind(self, queue: SyncQueue, lease: Lease) -> Job:
        """Take the job and load it, however long Redis lets us wait."""
        while True:
            try:
                self._raise_ending()
                lease.hold()
                with lease.seen():
                    job = queue.load(self._assignment.job_id)
            except RedisAwayError:
                wait = lease.wait()
                if time.monotonic() + wait >= self._deadline:
                    raise give_back("Redis stayed away from the start to the deadline") from None
                self._loop.pause(wait)
                continue
            if job is None:
                raise superseded("the job was removed")
            return job

    def _work(self, job: Job) -> Returned | Failure:
        """Let the child process the payload; return what comes first: its word, its death or the deadline."""
        try:
            payload = job.data.encode("utf-8", "surrogateescape")
            check_size(len(payload))
        except PayloadError as error:
            return Failure(str(error), unrecoverable=True)
        self._child.send(self._loop, Kind.JOB, encode_json({"name": job.name}))
        self._child.send(self._loop, Kind.PAYLOAD, payload)
        self._log.info("started", name=job.name, processor=self._assignment.processor)
        return self._wait(self._deadline)

    def _wait(self, deadline: float) -> Returned | Failure:
        timer = self._loop.at(deadline, self._on_deadline)
        self._loop.run_until(lambda: self._came is not None)
        timer.cancel()
        self._catch_up()
        came, self._came = self._came, None
        if isinstance(came, EndedError):
            raise came
        assert came is not None
        return came

    def _settle(self, job: Job, came: Returned | Failure, persist: Persist) -> Ending:
        """Bring *came* into the graph and into Redis."""
        deadline = max(self._deadline, time.monotonic() + ROUNDS * self._assignment.graph_timeout_s)
        try:
            if isinstance(came, Returned):
                value = self._value(came, persist, deadline)
                if isinstance(value, str):
                    ending = persist.complete(job, value, deadline)
                    self._log.info("completed", seconds=self._seconds())
                    return ending
                came = value
        except RefusedError as error:
            came = Failure(str(error), unrecoverable=error.unrecoverable)
        self._log.warn("failed", reason=came.reason, seconds=self._seconds(), unrecoverable=came.unrecoverable)
        return persist.fail(job, came.reason, came.stack, unrecoverable=came.unrecoverable, deadline=deadline)

    def _value(self, came: Returned, persist: Persist, deadline: float) -> str | Failure:
        """Write what is to be written; return the value, made by the child from the store's answer if it wants that."""
        status = 204
        if came.write is not None:
            status = persist.write(came.write, deadline)
            self._log.info("written to the graph", status=status, bytes=len(came.write))
        if came.value is not None:
            return came.value
        self._child.send(self._loop, Kind.ANSWER, encode_json({"status": status}))
        made = self._wait(deadline)
        if isinstance(made, Failure):
            return made
        return made.value if made.value is not None else Failure("the processor's process spoke out of turn")

    def _on_channel(self) -> None:
        self._catch_up()
        try:
            for frame in self._child.receive():
                self._take(frame)
        except EOFError:
            self._loop.unwatch(self._child.fileno())
        except FrameError as error:
            self._loop.unwatch(self._child.fileno())
            self._child.kill()
            self._come(Failure(str(error)))

    def _catch_up(self) -> None:
        """What was printed before a frame was sent comes before it in the log."""
        for output in self._outputs:
            output.catch_up()

    def _take(self, frame: Frame) -> None:
        """Act on one frame of the child."""
        if frame.kind is Kind.PROGRESS:
            self._relay.progress(frame.json())
        elif frame.kind is Kind.LINE:
            self._relay.line(frame.body.decode())
        elif frame.kind is Kind.RECORD:
            record = frame.json()
            self._log.line(Level.at(record["level"]), record["ns"], record["msg"])
        elif frame.kind is Kind.WRITE:
            self._write = frame.body
        elif frame.kind is not Kind.READY:
            self._come(self._meaning(frame))

    def _meaning(self, frame: Frame) -> Returned | Failure | EndedError:
        """Read a frame that ends the wait."""
        body: dict[str, Any] = frame.json()
        if frame.kind is Kind.UNLOADABLE:
            return misconfigured(body["reason"])
        if frame.kind is Kind.RESULT:
            write, self._write = self._write, None
            return Returned(body["value"], write)
        if body["kind"] == "memory":
            return _out_of_memory("the processor ran out of memory")
        return Failure(body["reason"], body["stack"], unrecoverable=body["kind"] == "unusable")

    def _on_child(self) -> None:
        """A process has ended, perhaps the child: what it said before still counts."""
        self._child.reap()
        if self._child.status is None or self._came is not None:
            return
        for _ in range(1024):
            if self._child_is_silent():
                break
        self._come(self._death(self._child.status))

    def _child_is_silent(self) -> bool:
        try:
            frames = list(self._child.receive())
        except (EOFError, FrameError):
            return True
        for frame in frames:
            self._take(frame)
        return False

    def _death(self, status: int) -> Failure | EndedError:
        """Say what a child died of that had not come to an end."""
        if status == -signal.SIGKILL and self._kills.seen() is not False:
            return _out_of_memory("the kernel killed the processor for memory")
        if status < 0:
            return Failure(f"the processor was killed by {signal.Signals(-status).name}")
        return Failure(f"the processor's process ended with exit code {status} before it returned")

    def _on_deadline(self) -> None:
        self._child.kill()
        self._come(Failure(f"timed out after {self._assignment.timeout_s:g} s"))

    def _come(self, what: Returned | Failure | EndedError) -> None:
        """The first word counts: what a child says after its deadline does not."""
        if self._came is None:
            self._came = what

    def _raise_ending(self) -> None:
        if isinstance(self._came, EndedError):
            raise self._came

    def _seconds(self) -> float:
        return round(time.monotonic() - self._started, 3)

    def _end_child(self) -> None:
        self._child.kill()
        self._child.wait()
        for output in self._outputs:
            output.drain()


def _out_of_memory(reason: str) -> EndedError:
    return ended(ExitCode.OUT_OF_MEMORY, RunnerOutcome.OOM, reason)
