"""A redis-server that a test starts, owns and may kill: own process, own folder, unix socket and port of 127.0.0.1."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from support import require

START_TIMEOUT_S: Final = 20.0
_ATTEMPTS_TO_BIND: Final = 5


class RedisServer:
    """One redis-server: noeviction, no persistence unless *options* ask for it.

    The same port and socket are kept over stop, kill and start, so that clients can come back.
    `options` are lines of redis.conf: `{"appendonly": "yes"}`.
    """

    def __init__(self, program: str | None = None, *, options: Mapping[str, str] | None = None) -> None:
        self.program = program or require("redis-server")
        # not pytest's tmp_path: a socket's path may have 107 characters
        self.folder = Path(tempfile.mkdtemp(prefix="bp-redis-"))
        self.socket = self.folder / "redis.sock"
        self.options = dict(options or {})
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """By TCP."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        """By unix socket."""
        return f"unix://{self.socket}?db=0"

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        """The process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start it and return when it answers; a port that somebody took meanwhile is replaced at the first start."""
        first = self._process is None
        for attempt in range(_ATTEMPTS_TO_BIND):
            self._spawn()
            if self._await_answer():
                return self
            if not first or attempt == _ATTEMPTS_TO_BIND - 1:
                break
            self.port = free_port()
        raise RuntimeError(f"{self.program} did not start: {self.log()[-500:]}")

    def stop(self) -> None:
        """Ask it to end (SIGTERM) and wait until it has."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it like a power cut (SIGKILL)."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop it from answering; connections stay open. See thaw()."""
        assert self._process is not None, "not started"
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it answer again."""
        assert self._process is not None, "not started"
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Kill it and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """What it wrote so far."""
        path = self.folder / "redis.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _spawn(self) -> None:
        lines = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "unixsocket": str(self.socket),
            "dir": str(self.folder),
            "logfile": str(self.folder / "redis.log"),
            "daemonize": "no",
            "maxmemory-policy": "noeviction",
            "save": '""',
            "appendonly": "no",
        } | self.options
        config = self.folder / "redis.conf"
        config.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
        self.socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [self.program, str(config)],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C at the tests' terminal is not the server's
        )

    def _await_answer(self) -> bool:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.running:
            if _answers(self.socket):
                return True
            time.sleep(0.005)
        self.kill()
        return False

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(how)
            self._process.send_signal(signal.SIGCONT)  # one that was frozen could not obey
        self._process.wait(timeout=START_TIMEOUT_S)


@contextmanager
def redis_server(program: str | None = None, *, options: Mapping[str, str] | None = None) -> Iterator[RedisServer]:
    """Run a server for the length of a `with`."""
    with RedisServer(program, options=options) as server:
        yield server


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(path: Path) -> bool:
    """Any answer will do: one that wants a password or is still loading its data lives too."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
            probe.sendall(b"PING\r\n")
            answer = probe.recv(64)
        except OSError:
            return False
    return answer.startswith((b"+PONG", b"-NOAUTH", b"-NOPERM"))
