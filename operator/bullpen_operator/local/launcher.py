"""The Launcher port over subprocesses: one shim and one runner per attempt, in a folder of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bullpen_operator.local import processes
from bullpen_operator.local.folder import AttemptFolder, Limits
from bullpen_operator.model import JobType, quantity
from bullpen_operator.naming import kube_job_name
from bullpen_operator.ports import LaunchError, LauncherUnavailableError
from bullpen_operator.seen import Attempt, KubeJobSeen

logger = logging.getLogger(__name__)

RUNNER: Final = (sys.executable, "-P", "-m", "bullpen_runner")
"""-P: the scratch directory is no place to import from."""
KEPT_ENDED: Final = 1000
"""Folders of ended attempts that are kept for people to look into."""
_ROOT: Final = str(Path(__file__).resolve().parents[2])
_SHIM: Final = (
    "-I", "-S", "-c",
    f"import sys; sys.path.insert(0, {_ROOT!r}); from bullpen_operator.local.shim import main; main()",
)  # fmt: skip
EnvironmentOf = Callable[[Attempt, JobType, str, Path], Mapping[str, str]]
"""(attempt, job type, pod uid, folder) -> the runner's whole environment; may raise LaunchError."""


@dataclass(frozen=True, slots=True)
class LauncherSettings:
    """What one launcher is told."""

    folder: Path
    """Attempts of one JobQueue; nobody else writes here."""
    environment: EnvironmentOf
    command: Sequence[str] = RUNNER
    grace_s: float = 30.0
    """From SIGTERM to SIGKILL."""
    slack_s: float = 30.0
    """Beyond the runner's own timer and its graph write: the shim's wall limit is only the backstop."""
    keep_scratch: bool = False
    control_groups: bool = True
    """Let the kernel hold the limits where it can; False: always watch from outside."""


@dataclass(slots=True)
class _Shim:
    """A shim that is watched; `own`: it is our child and must be waited for."""

    pid: int
    descriptor: int
    own: bool


@dataclass
class LocalLauncher:
    """Starts attempts as subprocesses and finds those of an operator before this one."""

    settings: LauncherSettings
    _shims: dict[str, _Shim] = field(default_factory=dict)
    _changed: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    def __post_init__(self) -> None:
        """Make the folders."""
        for folder in (self._live, self._ended):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @property
    def _live(self) -> Path:
        return self.settings.folder / "attempts"

    @property
    def _ended(self) -> Path:
        return self.settings.folder / "ended"

    async def launch(self, attempt: Attempt, job_type: JobType) -> None:
        """Start *attempt* unless its folder says that it was started before."""
        name = kube_job_name(attempt.queue, attempt.job_id, attempt.token)
        if name in self._shims or (self._ended / name).exists():
            return
        folder = AttemptFolder(self._live / name)
        await asyncio.to_thread(self._prepare, folder, attempt, job_type)
        if not folder.started and name not in self._shims:
            self._start(folder, self.settings.environment(folder.attempt, job_type, folder.pod_uid, folder.path))

    def _prepare(self, folder: AttemptFolder, attempt: Attempt, job_type: JobType) -> None:
        try:
            folder.create(attempt, self._limits(attempt, job_type), list(self.settings.command))
        except OSError as error:
            raise LauncherUnavailableError(f"{folder.path} can't be written: {error.strerror}") from error

    def _limits(self, attempt: Attempt, job_type: JobType) -> Limits:
        limits, settings = job_type.resources.limits, attempt.settings
        return Limits(
            deadline_s=settings.timeout_s + settings.graph_timeout_s + self.settings.slack_s,
            memory=int(quantity(limits.memory)) if limits.memory else None,
            cpu=quantity(limits.cpu) if limits.cpu else None,
            grace_s=self.settings.grace_s,
            control_groups=self.settings.control_groups,
        )

    def _start(self, folder: AttemptFolder, environment: Mapping[str, str]) -> None:
        log = str(folder.path / "output.log")
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        arguments = [sys.executable, *_SHIM, str(folder.path)]
        try:
            # SIGTERM waits until the shim can answer it: see shim.main
            pid = os.posix_spawn(
                sys.executable,
                arguments,
                dict(environment),
                file_actions=actions,
                setsid=True,
                setsigmask=(signal.SIGTERM,),
            )
        except ValueError as error:
            raise LaunchError("the job's id or name holds a NUL character, which no process can be given") from error
        except OSError as error:
            raise LauncherUnavailableError(f"no process can be started: {error.strerror}", 5.0) from error
        self._watch(folder.name, pid, own=True)

    def _watch(self, name: str, pid: int, *, own: bool) -> None:
        descriptor = os.pidfd_open(pid)
        self._shims[name] = _Shim(pid, descriptor, own)
        asyncio.get_running_loop().add_reader(descriptor, self._shim_ended, name)

    def _shim_ended(self, name: str) -> None:
        shim = self._shims.pop(name)
        asyncio.get_running_loop().remove_reader(shim.descriptor)
        os.close(shim.descriptor)
        if shim.own:
            os.waitpid(shim.pid, 0)
        self._changed.put_nowait(name)

    def _adopt(self, folder: AttemptFolder) -> None:
        """Watch a shim that another operator started."""
        pid, ticks = folder.shim()
        if folder.name in self._shims or not pid or folder.ended:
            return
        with contextlib.suppress(ProcessLookupError):
            self._watch(folder.name, pid, own=False)
            if processes.start_ticks(pid) != ticks:  # the number went to another process
                self._shim_ended(folder.name)

    async def list(self) -> Sequence[KubeJobSeen]:
        """Every attempt that is not over and recorded."""
        try:
            folders = [AttemptFolder(path) for path in self._live.iterdir() if not path.name.startswith(".")]
        except OSError as error:
            raise LauncherUnavailableError(f"{self._live} can't be read: {error.strerror}") from error
        starting = set(self._shims)
        seen = await asyncio.to_thread(lambda: [self._see(folder, starting) for folder in folders])
        for folder, one in zip(folders, seen, strict=True):
            if one is not None:
                self._adopt(folder)
        await asyncio.to_thread(self._tidy, folders)
        return [one for one in seen if one is not None]

    def _tidy(self, folders: Sequence[AttemptFolder]) -> None:
        for folder in folders:
            if folder.recorded and folder.ended:
                self._archive(folder)
        kept = sorted(self._ended.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in kept[KEPT_ENDED:]:
            shutil.rmtree(path, ignore_errors=True)

    def _see(self, folder: AttemptFolder, starting: set[str]) -> KubeJobSeen | None:
        try:
            return folder.see(starting=folder.name in starting)
        except OSError as error:
            raise LauncherUnavailableError(f"{folder.path} can't be read: {error.strerror}") from error

    async def look(self, name: str) -> KubeJobSeen | None:
        """One attempt, from its folder."""
        return await asyncio.to_thread(self._look, name, set(self._shims))

    def _look(self, name: str, starting: set[str]) -> KubeJobSeen | None:
        seen = self._see(AttemptFolder(self._live / name), starting)
        return seen or self._see(AttemptFolder(self._ended / name), starting)

    async def delete(self, name: str) -> None:
        """Send SIGTERM, SIGKILL after the grace time; the folder goes when the end was recorded."""
        folder = AttemptFolder(self._live / name)
        folder.mark("deleting")
        self._adopt(folder)
        if shim := self._shims.get(name):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(shim.descriptor, signal.SIGTERM)

    async def mark_recorded(self, name: str) -> None:
        """Nothing more is to be done about this attempt; once it has ended, its folder leaves the list."""
        folder = AttemptFolder(self._live / name)
        folder.mark("recorded")
        if folder.ended:
            await asyncio.to_thread(self._archive, folder)

    def _archive(self, folder: AttemptFolder) -> None:
        if not self.settings.keep_scratch:
            shutil.rmtree(folder.path / "scratch", ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            folder.path.rename(self._ended / folder.name)

    async def changes(self) -> AsyncIterator[KubeJobSeen]:
        """Attempts whose process has ended, as it ends: the kernel says so, nothing is polled."""
        while True:
            name = await self._changed.get()
            folder = AttemptFolder(self._live / name)
            await asyncio.to_thread(folder.fail_start, "its process ended before it could begin; see output.log")
            if (seen := await self.look(name)) is not None:
                yield seen

    async def close(self) -> None:
        """Stop watching; processes go on."""
        for name, shim in list(self._shims.items()):
            asyncio.get_running_loop().remove_reader(shim.descriptor)
            os.close(shim.descriptor)
            del self._shims[name]
