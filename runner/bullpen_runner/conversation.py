"""What passes between the supervisor and its child, until the child returns, fails, dies or runs out of time."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from bullpen_protocol.assignment import ExitCode, RunnerOutcome
from bullpen_runner.endings import EndedError, ended, misconfigured
from bullpen_runner.frames import Frame, FrameError, Kind, encode_json
from bullpen_runner.log import Level, Log
from bullpen_runner.loop import Loop
from bullpen_runner.memory import OomKills
from bullpen_runner.output import Output
from bullpen_runner.process import Child
from bullpen_runner.relay import Relay
from bullpen_runner.usage import Used, reported

_READS_OF_THE_DEAD: Final = 1024
_BACKSTOP_S: Final = 0.5


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


class Conversation:
    """One child, from its import to its end."""

    def __init__(
        self,
        child: Child,
        loop: Loop,
        relay: Relay,
        log: Log,
        timeout_s: float,
        final_timeout: bool,
        tell: Callable[[Any], Any],
    ) -> None:
        self._child = child
        self._loop = loop
        self._relay = relay
        self._log = log
        self._timeout_s = timeout_s
        self._final_timeout = final_timeout
        self._tell = tell
        self._kills = OomKills()
        self._write: bytes | None = None
        self._came: Returned | Failure | EndedError | None = None
        self.used: Used | None = None
        """What the child says that it used; None while it said nothing, or when it has been waited for."""
        self._outputs = (Output(child.out, Level.INFO, log), Output(child.err, Level.WARN, log))

    def listen(self) -> None:
        """Hear the child from here on; whoever gets SIGCHLD calls `on_child`."""
        self._loop.watch(self._child.fileno(), self._on_channel)
        for output in self._outputs:
            output.watch(self._loop)
        self.on_child()

    def hand_over(self, name: str, payload: bytes) -> None:
        """Give the child its job."""
        self._child.send(self._loop, Kind.JOB, encode_json({"name": name}))
        self._child.send(self._loop, Kind.PAYLOAD, payload)

    def answer(self, status: int) -> None:
        """Tell the child what the store said."""
        self._child.send(self._loop, Kind.ANSWER, encode_json({"status": status}))

    def wait(self, deadline: float) -> Returned | Failure:
        """Return what comes first: the child's word, its death or the deadline. Raises EndedError."""
        timer = self._loop.at(deadline, self._on_deadline)
        self._arm(max(deadline - time.monotonic(), 0.0) + _BACKSTOP_S)
        try:
            self._loop.run_until(lambda: self._came is not None)
        finally:
            timer.cancel()
            self._arm(0.0)
        self._catch_up()
        self.raise_ending()
        came, self._came = self._came, None
        assert isinstance(came, Returned | Failure)
        return came

    def raise_ending(self) -> None:
        """Raise what was found out without asking: the processor can't be loaded, the child ran out of memory."""
        if isinstance(self._came, EndedError):
            raise self._came

    def on_child(self) -> None:
        """A process has ended, perhaps the child: what it said before still counts."""
        self._child.reap()
        if self._child.status is not None:
            self.used = None
        if self._child.status is None or self._came is not None:
            return
        for _ in range(_READS_OF_THE_DEAD):
            if self._is_read():
                break
        self._come(self._death(self._child.status))

    def end(self) -> None:
        """Kill what is left of the child and read what it printed."""
        self._child.kill()
        self._child.wait()
        for output in self._outputs:
            output.drain()

    def _arm(self, seconds: float) -> None:
        """The loop may wait for a Redis that does not answer; the child's time ends all the same."""
        signal.signal(signal.SIGALRM, lambda *_: self._child.kill())
        signal.setitimer(signal.ITIMER_REAL, seconds)

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
        elif frame.kind is Kind.ASK:
            self._child.send(self._loop, Kind.TOLD, encode_json(self._tell(frame.json())))
        elif frame.kind is not Kind.READY:
            self._come(self._meaning(frame))

    def _meaning(self, frame: Frame) -> Returned | Failure | EndedError:
        """Read a frame that ends the wait."""
        body: dict[str, Any] = frame.json()
        self.used = reported(body) if self._child.status is None else None
        if frame.kind is Kind.MISCONFIGURED:
            return misconfigured(body["reason"])
        if frame.kind is Kind.RESULT:
            write, self._write = self._write, None
            return Returned(body["value"], write)
        if body["kind"] == "memory":
            return _out_of_memory("the processor ran out of memory")
        return Failure(body["reason"], body["stack"], unrecoverable=body["kind"] == "unusable")

    def _is_read(self) -> bool:
        """Read once of a child that has ended; True at the end of what it said."""
        try:
            for frame in self._child.receive():
                self._take(frame)
        except (EOFError, FrameError):
            return True
        return self._came is not None

    def _death(self, status: int) -> Failure | EndedError:
        """Say what a child died of that had not come to an end."""
        if self._child.killed:
            return self._timed_out()
        if status == -signal.SIGKILL and self._kills.seen() is not False:
            return _out_of_memory("the kernel killed the processor for memory")
        if status < 0:
            return Failure(f"the processor was killed by {signal.Signals(-status).name}")
        return Failure(f"the processor's process ended with exit code {status} before it returned")

    def _on_deadline(self) -> None:
        self._child.kill()
        self._come(self._timed_out())

    def _timed_out(self) -> Failure:
        return Failure(f"timed out after {self._timeout_s:g} s", unrecoverable=self._final_timeout)

    def _come(self, what: Returned | Failure | EndedError) -> None:
        """The first word counts: what a child says after its deadline does not."""
        if self._came is None:
            self._came = what


def _out_of_memory(reason: str) -> EndedError:
    return ended(ExitCode.OUT_OF_MEMORY, RunnerOutcome.OOM, reason)
