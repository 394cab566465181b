"""The child as its supervisor sees it: one forked process in a session of its own, a channel, two pipes of output."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn

from bullpen_runner.frames import Decoder, Frame, Kind, header
from bullpen_runner.loop import Loop

_CHUNK = 256 * 1024


class Child:
    """A child process. `status` is its exit code once it has ended, negative for a signal."""

    def __init__(self, pid: int, channel: socket.socket, out: int, err: int) -> None:
        self.pid = pid
        self.status: int | None = None
        self.killed = False
        """We did it."""
        self.out = out
        self.err = err
        self._channel = channel
        self._decoder = Decoder()
        self._unsent: list[memoryview] = []
        for handle in (channel.fileno(), out, err):
            os.set_blocking(handle, False)

    def fileno(self) -> int:
        """Return the handle of the channel, to watch."""
        return self._channel.fileno()

    def receive(self) -> Iterator[Frame]:
        """Read once what there is and yield the frames that are complete. Raises EOFError at its end."""
        try:
            data = self._channel.recv(_CHUNK)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            raise EOFError
        yield from self._decoder.feed(data)

    def send(self, loop: Loop, kind: Kind, body: bytes) -> None:
        """Send a frame as fast as the child takes it, without ever waiting for it."""
        idle = not self._unsent
        self._unsent += [memoryview(header(kind, body)), memoryview(body)]
        if idle:
            self._flush(loop, watched=False)

    def _flush(self, loop: Loop, *, watched: bool) -> None:
        try:
            while self._unsent:
                sent = self._channel.send(self._unsent[0])
                self._unsent[0] = self._unsent[0][sent:]
                if not self._unsent[0]:
                    self._unsent.pop(0)
        except BlockingIOError:
            if not watched:
                self._watch_writable(loop)
            return
        except OSError:
            self._unsent.clear()  # it has died; whoever waits for its answer learns so
        if watched:
            self._unwatch_writable(loop)

    def _watch_writable(self, loop: Loop) -> None:
        # a second handle of the channel: the first is watched for reading
        self._writable = os.dup(self._channel.fileno())
        loop.watch(self._writable, lambda: self._flush(loop, watched=True), write=True)

    def _unwatch_writable(self, loop: Loop) -> None:
        loop.unwatch(self._writable)
        os.close(self._writable)

    def kill(self) -> None:
        """End the child and whatever it started, without asking."""
        if self.status is None:
            self.killed = True
            self._kill_group()
            os.kill(self.pid, signal.SIGKILL)  # it may not have got as far as a group of its own

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def reap(self) -> None:
        """Collect every process that has ended: as PID 1 all orphans of the pod come to us."""
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            if ended.si_pid == self.pid:
                self._kill_group()  # now, while nobody else can have its number
            self._collect(ended.si_pid)

    def wait(self) -> None:
        """Wait for a child that was killed."""
        if self.status is None:
            self._collect(self.pid)

    def _collect(self, pid: int) -> None:
        with contextlib.suppress(ChildProcessError):
            _, status = os.waitpid(pid, 0)
            if pid == self.pid:
                self.status = os.waitstatus_to_exitcode(status)


def spawn(run: Callable[[socket.socket, int], NoReturn]) -> Child:
    """Fork; the child runs *run* with its end of the channel and the supervisor's pid, and never comes back."""
    ours, theirs = socket.socketpair()
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    supervisor = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            for handle in (out_read, err_read):
                os.close(handle)
            ours.close()
            os.dup2(out_write, 1)
            os.dup2(err_write, 2)
            run(theirs, supervisor)
        except BaseException:  # noqa: BLE001 - the last chance to say anything
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(1)
    theirs.close()
    os.close(out_write)
    os.close(err_write)
    return Child(pid, ours, out_read, err_read)
