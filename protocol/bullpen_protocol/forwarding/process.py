"""The far end of forwarding: a process that hears entries on its standard input and sends them to the log server.

It ends by itself when its parent closes the channel or dies, and never later than FLUSH_S after that.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from types import ModuleType
from typing import Final, cast

from bullpen_protocol.forwarding.buffer import Buffer
from bullpen_protocol.forwarding.coalescing import Coalescer
from bullpen_protocol.forwarding.entries import Target
from bullpen_protocol.forwarding.forwarder import FLUSH_S
from bullpen_protocol.forwarding.link import Link, State

UNANSWERED_S: Final = 2.0
"""From its start on, for so long a first connection is waited for at the end."""
UNANSWERED_FLUSH_S: Final = 0.9
"""And never longer than this after the end."""

_NOT_NEEDED: Final = ("aiohttp", "redis", "requests")
"""What python-socketio imports if it is there, for servers and for polling: 0.65 s instead of 0.13, 67 MB for 30."""
_ENTRY_BYTES: Final = 1 << 20
_LOOK_S: Final = 0.01


def main() -> None:
    """Forward until the channel ends."""
    born = time.monotonic()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the parent says when it is over
    _be_first_to_go()
    _do_without(_NOT_NEEDED)
    target = Target.from_environment(os.environ)
    assert target is not None, "the parent has checked it"
    channel = socket.socket(fileno=0)

    def say(level: str, sentence: str) -> None:
        with suppress(OSError):
            channel.send(json.dumps([level, sentence]).encode())

    buffer = Buffer()
    link = Link(target, buffer, say)
    threading.Thread(target=link.run, daemon=True).start()
    listen(channel, Coalescer(target.window_s), buffer)
    linger(link, born, time.monotonic())
    if lost := len(buffer) + buffer.count_dropped():
        say("warn", f"{lost} log entries did not reach the log server")


def listen(channel: socket.socket, coalescer: Coalescer, buffer: Buffer) -> None:
    """Take entries until the channel ends; what is held back then goes too."""
    while True:
        ready, _, _ = select.select([channel], [], [], coalescer.wait(time.monotonic()))
        if ready:
            message = _receive(channel)
            if not message:
                break
            buffer.put(coalescer.add(json.loads(message), time.monotonic()))
        else:
            buffer.put(coalescer.due(time.monotonic()))
    buffer.put(coalescer.close())
    buffer.close()


def linger(link: Link, born: float, closed: float) -> None:
    """Wait until all is sent, as long as it may take."""
    while not link.done.wait(_LOOK_S) and time.monotonic() < latest(link.state, born, closed):
        pass


def latest(state: State, born: float, closed: float) -> float:
    """Until when entries may still leave; shorter than FLUSH_S where no server has answered yet."""
    if state is State.UP:
        return closed + FLUSH_S
    if state is State.NEW:
        return min(closed + UNANSWERED_FLUSH_S, max(closed, born + UNANSWERED_S))
    return closed


def _receive(channel: socket.socket) -> bytes:
    try:
        return channel.recv(_ENTRY_BYTES)
    except ConnectionError:
        return b""


def _do_without(names: tuple[str, ...]) -> None:
    sys.modules.update(dict.fromkeys(names, cast(ModuleType, None)))  # None: as if it were not installed


def _be_first_to_go() -> None:
    """When memory runs out, this is what can be spared."""
    with suppress(OSError):
        handle = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        os.write(handle, b"1000")
        os.close(handle)


if __name__ == "__main__":
    main()
    os._exit(0)  # at once: threads of the client may still wait for something
