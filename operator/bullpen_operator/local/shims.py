"""The shims of one launcher: started or found running, and watched until they end; the kernel tells, nothing polls."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bullpen_operator.local import processes
from bullpen_operator.local.folder import AttemptFolder
from bullpen_operator.local.shim import STARTED
from bullpen_operator.ports import LaunchError, LauncherUnavailableError

_ROOT: Final = str(Path(__file__).resolve().parents[2])
_SHIM: Final = (
    "-I", "-S", "-c",
    f"import sys; sys.path.insert(0, {_ROOT!r}); from bullpen_operator.local.shim import main; main()",
)  # fmt: skip
_RETRY_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Watched:
    """A shim; `own`: it is our child and must be waited for."""

    pid: int
    descriptor: int
    own: bool


@dataclass
class Shims:
    """Attempts' names go into `changed` when their runner was started and when their shim has ended."""

    changed: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    _watched: dict[str, _Watched] = field(default_factory=dict)
    _starting: dict[str, int] = field(default_factory=dict)

    def names(self) -> frozenset[str]:
        """Attempts whose shims live, as far as we were told."""
        return frozenset(self._watched)

    def start(self, folder: AttemptFolder, environment: Mapping[str, str]) -> None:
        """Start the shim of *folder*; its runner gets *environment*.

        Raises:
            LaunchError: no process can be given this environment.
            LauncherUnavailableError: no process can be started now.
        """
        try:
            self._start(folder, environment)
        except OSError as error:  # out of processes, memory or descriptors
            raise LauncherUnavailableError(f"no process can be started: {error.strerror}", _RETRY_S) from error

    def _start(self, folder: AttemptFolder, environment: Mapping[str, str]) -> None:
        started, told = os.pipe()
        try:
            pid = _spawn(folder, environment, told)
        except BaseException:
            os.close(started)
            raise
        finally:
            os.close(told)
        self._starting[folder.name] = started
        asyncio.get_running_loop().add_reader(started, self._has_started, folder.name)
        self._watch(folder.name, pid, own=True)

    def adopt(self, folder: AttemptFolder) -> None:
        """Watch a shim that another operator started, if it lives."""
        pid, ticks = folder.shim()
        if folder.name in self._watched or not pid or folder.ended:
            return
        with contextlib.suppress(ProcessLookupError):
            self._watch(folder.name, pid, own=False)
            if processes.start_ticks(pid) != ticks:  # the number went to another process
                self._has_ended(folder.name)

    def terminate(self, name: str, *, at_once: bool = False) -> None:
        """Ask a shim to end its attempt, without grace if *at_once*."""
        if (shim := self._watched.get(name)) is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(shim.descriptor, signal.SIGUSR1 if at_once else signal.SIGTERM)

    def close(self) -> None:
        """Stop watching; the shims go on."""
        for name in list(self._watched):
            self._forget(name)

    def _watch(self, name: str, pid: int, *, own: bool) -> None:
        descriptor = os.pidfd_open(pid)
        self._watched[name] = _Watched(pid, descriptor, own)
        asyncio.get_running_loop().add_reader(descriptor, self._has_ended, name)

    def _has_started(self, name: str) -> None:
        self._release(self._starting.pop(name))
        self.changed.put_nowait(name)

    def _has_ended(self, name: str) -> None:
        shim = self._forget(name)
        if shim.own:
            os.waitpid(shim.pid, 0)
        self.changed.put_nowait(name)

    def _forget(self, name: str) -> _Watched:
        shim = self._watched.pop(name)
        self._release(shim.descriptor)
        if name in self._starting:
            self._release(self._starting.pop(name))
        return shim

    def _release(self, descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)


def _spawn(folder: AttemptFolder, environment: Mapping[str, str], told: int) -> int:
    log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(folder.path / "output.log"), log, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
        (os.POSIX_SPAWN_DUP2, told, STARTED),
    ]
    arguments = [sys.executable, *_SHIM, str(folder.path)]
    try:
        return os.posix_spawn(
            sys.executable,
            arguments,
            dict(environment),
            file_actions=actions,
            setsid=True,
            setsigmask=(signal.SIGTERM, signal.SIGUSR1),  # they wait until the shim can answer them
        )
    except ValueError as error:  # a NUL, or half of a surrogate pair
        raise LaunchError("its id or name holds a character that no process can be given") from error
    except OSError as error:
        if error.errno == errno.E2BIG:
            raise LaunchError("its id, name or settings are too long to be given to a process (128 KiB)") from error
        raise
