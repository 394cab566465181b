"""The Launcher port over subprocesses: one shim and one runner per attempt, in a folder of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bullpen_operator.fields import quantity
from bullpen_operator.local.folder import AttemptFolder, Limits
from bullpen_operator.local.shims import Shims
from bullpen_operator.model import JobType
from bullpen_operator.naming import kube_job_name
from bullpen_operator.ports import LaunchError, LauncherUnavailableError
from bullpen_operator.seen import Attempt, KubeJobSeen

RUNNER: Final = (sys.executable, "-P", "-m", "bullpen_runner")
"""-P: the scratch directory is no place to import from."""
TAIL_BYTES: Final = 64 * 1024
"""Read of an output's end: a line of it may be of any length."""
KEPT_ENDED: Final = 1000
"""Folders of ended attempts that are kept for people to look into."""

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
    """Beyond the runner's own timer and its graph writes: the shim's wall limit is only the backstop."""
    keep_scratch: bool = False
    control_groups: bool = True
    """Let the kernel hold the limits where it can; False: always watch from outside."""


@dataclass
class LocalLauncher:
    """Starts attempts as subprocesses and finds those of an operator before this one."""

    settings: LauncherSettings
    _shims: Shims = field(default_factory=Shims)

    def __post_init__(self) -> None:
        """Make the folders, and remove what an operator before this one had only begun to make."""
        for folder in (self._live, self._ended):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for draft in self._live.glob(".*"):
            shutil.rmtree(draft, ignore_errors=True)

    @property
    def _live(self) -> Path:
        return self.settings.folder / "attempts"

    @property
    def _ended(self) -> Path:
        return self.settings.folder / "ended"

    async def launch(self, attempt: Attempt, job_type: JobType) -> None:
        """Start *attempt* unless its folder says that it was started before."""
        if not attempt.job_id:
            raise LaunchError("its id is empty; no runner can be told of it")
        name = kube_job_name(attempt.queue, attempt.job_id, attempt.token)
        if name in self._shims.names() or (self._ended / name).exists():
            return
        folder = AttemptFolder(self._live / name)
        await asyncio.to_thread(self._prepare, folder, attempt, job_type)
        if folder.started or name in self._shims.names():
            return
        try:
            self._shims.start(folder, self.settings.environment(attempt, job_type, folder.pod_uid, folder.path))
        except LauncherUnavailableError:
            raise
        except LaunchError:  # it never will be
            shutil.rmtree(folder.path, ignore_errors=True)
            raise

    def may_launch(self) -> bool:
        """A process is there as soon as it is started."""
        return True

    def _prepare(self, folder: AttemptFolder, attempt: Attempt, job_type: JobType) -> None:
        try:
            folder.create(attempt, self._limits(attempt, job_type), list(self.settings.command))
        except OSError as error:
            raise LauncherUnavailableError(f"{folder.path} can't be written: {error.strerror}") from error

    def _limits(self, attempt: Attempt, job_type: JobType) -> Limits:
        limits, settings = job_type.resources.limits, attempt.settings
        return Limits(
            # what a processor gave in time may be persisted for twice the time of a graph write: docs/runner.md
            deadline_s=settings.timeout_s + 2 * settings.graph_timeout_s + self.settings.slack_s,
            memory=settings.memory.limit or (int(quantity(limits.memory)) if limits.memory else None),
            cpu=quantity(limits.cpu) if limits.cpu else None,
            grace_s=self.settings.grace_s,
            control_groups=self.settings.control_groups,
        )

    async def list(self) -> Sequence[KubeJobSeen]:
        """Every attempt that is not over and recorded."""
        try:
            folders = [AttemptFolder(path) for path in self._live.iterdir() if not path.name.startswith(".")]
        except OSError as error:
            raise LauncherUnavailableError(f"{self._live} can't be read: {error.strerror}") from error
        starting = self._shims.names()
        seen = await asyncio.to_thread(lambda: [self._see(folder, starting) for folder in folders])
        for folder, one in zip(folders, seen, strict=True):
            if one is not None:
                self._shims.adopt(folder)
        await asyncio.to_thread(self._tidy, folders)
        return [one for one in seen if one is not None]

    def _tidy(self, folders: Sequence[AttemptFolder]) -> None:
        for folder in folders:
            if folder.recorded and folder.ended:
                self._archive(folder)
        kept = sorted(self._ended.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in kept[KEPT_ENDED:]:
            shutil.rmtree(path, ignore_errors=True)

    def _see(self, folder: AttemptFolder, starting: frozenset[str]) -> KubeJobSeen | None:
        try:
            return folder.see(starting=folder.name in starting)
        except OSError as error:
            raise LauncherUnavailableError(f"{folder.path} can't be read: {error.strerror}") from error

    async def look(self, name: str) -> KubeJobSeen | None:
        """One attempt, from its folder."""
        return await asyncio.to_thread(self._look, name, self._shims.names())

    def _look(self, name: str, starting: frozenset[str]) -> KubeJobSeen | None:
        seen = self._see(AttemptFolder(self._live / name), starting)
        return seen or self._see(AttemptFolder(self._ended / name), starting)

    async def log_tail(self, seen: KubeJobSeen, _uid: str, lines: int) -> str:
        """Read the end of the attempt's output."""
        return await asyncio.to_thread(self._log_tail, seen.name, lines)

    def _log_tail(self, name: str, lines: int) -> str:
        for path in (self._live / name, self._ended / name):
            with contextlib.suppress(OSError), (path / "output.log").open("rb") as output:
                output.seek(max(0, output.seek(0, os.SEEK_END) - TAIL_BYTES))
                return "\n".join(output.read().decode("utf-8", "replace").splitlines()[-lines:])
        return ""

    async def delete(self, name: str, *, grace_s: float | None = None) -> None:
        """Send SIGTERM, SIGKILL after the grace time; the folder goes when the end was recorded."""
        folder = AttemptFolder(self._live / name)
        folder.mark("deleting")
        self._shims.adopt(folder)
        self._shims.terminate(name)
        if grace_s is not None:
            asyncio.get_running_loop().call_later(grace_s, lambda: self._shims.terminate(name, at_once=True))

    def kill(self) -> None:
        """End every running attempt at once: its processes are killed, without grace."""
        for name in self._shims.names():
            AttemptFolder(self._live / name).mark("deleting")
            self._shims.terminate(name, at_once=True)

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
        """Attempts as their process starts and as it ends."""
        while True:
            name = await self._shims.changed.get()
            await asyncio.to_thread(self._mourn, name)
            if (seen := await self.look(name)) is not None:
                yield seen

    def _mourn(self, name: str) -> None:
        """Give an attempt an end whose shim died before it started anything."""
        if name not in self._shims.names():
            AttemptFolder(self._live / name).fail_start("the process ended before the runner was started")

    async def close(self) -> None:
        """Stop watching; processes go on."""
        self._shims.close()
