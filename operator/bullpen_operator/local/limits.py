"""Memory and CPU limits of an attempt: control groups where they are writable, else watched from outside.

Standard library only, with few imports: every attempt's shim pays for them.
"""

# pathlib alone would double the time a shim takes to start.
# ruff: noqa: PTH102, PTH106, PTH110

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Final

from bullpen_operator.local import processes

ROOT: Final = "/proc/self"
_PERIOD_US: Final = 100_000
_FASTEST_GROWTH: Final = 2 << 30
"""Bytes a second that one process was seen to fill at most, roughly; bounds how late a watch may look again."""


class ControlGroup:
    """One directory per controller (v1) or one for all (v2), made for one attempt."""

    def __init__(self, name: str, memory: int | None, cpu: float | None) -> None:
        """Make the group; what the kernel refuses is left to the watches: see `holds_memory`, `holds_cpu`."""
        self.directories: list[str] = []
        self.memory_directory = self._limited(name, "memory", _memory_files(memory)) if memory else ""
        self.cpu_directory = self._limited(name, "cpu", _cpu_files(cpu)) if cpu else ""

    @property
    def holds_memory(self) -> bool:
        """Whether the kernel enforces the memory limit."""
        return self.memory_directory != ""

    @property
    def holds_cpu(self) -> bool:
        """Whether the kernel enforces the CPU limit."""
        return self.cpu_directory != ""

    def _limited(self, name: str, controller: str, files: list[tuple[str, str, bool]]) -> str:
        for parent in _parents(controller):
            directory = f"{parent}/{name}"
            try:
                if directory not in self.directories:
                    os.mkdir(directory)
                    self.directories.append(directory)
                _fill(directory, files)
            except OSError:
                continue
            return directory
        return ""

    def add(self, pid: int) -> None:
        """Put *pid* in before it runs; a directory that refuses it holds nothing."""
        for directory in list(self.directories):
            try:
                _write(f"{directory}/cgroup.procs", str(pid))
            except OSError:
                self.memory_directory = "" if directory == self.memory_directory else self.memory_directory
                self.cpu_directory = "" if directory == self.cpu_directory else self.cpu_directory

    def memory_kills(self) -> int:
        """How often the kernel killed in this group for memory."""
        for file in ("memory.events", "memory.oom_control"):
            for line in processes.read(f"{self.memory_directory}/{file}").splitlines():
                if line.startswith(b"oom_kill "):
                    return int(line.split()[1])
        return 0

    def peak_bytes(self) -> int:
        """Most memory that the group ever used; 0: not known."""
        for file in ("memory.peak", "memory.max_usage_in_bytes"):
            text = processes.read(f"{self.memory_directory}/{file}").strip()
            if text:
                return int(text)
        return 0

    def remove(self) -> None:
        """Remove the directories; all processes must have ended."""
        remove_groups(self.directories)


def remove_groups(directories: list[str]) -> None:
    """Remove control groups; what is gone or still in use stays as it is."""
    for directory in directories:
        try:
            os.rmdir(directory)
        except OSError:
            continue


def _memory_files(limit: int | None) -> list[tuple[str, str, bool]]:
    """(file, text, must be there) of v2, then v1: the first file that exists says which it is."""
    return [
        ("memory.max", str(limit), True),
        ("memory.swap.max", "0", False),
        ("memory.limit_in_bytes", str(limit), True),
        ("memory.memsw.limit_in_bytes", str(limit), False),
    ]


def _cpu_files(cpus: float | None) -> list[tuple[str, str, bool]]:
    quota = max(int((cpus or 0) * _PERIOD_US), 1000)  # the kernel's least
    return [("cpu.max", f"{quota} {_PERIOD_US}", True), ("cpu.cfs_quota_us", str(quota), True)]


def _fill(directory: str, files: list[tuple[str, str, bool]]) -> None:
    held = False
    for file, text, needed in files:
        path = f"{directory}/{file}"
        if os.path.exists(path):
            try:
                _write(path, text)
            except OSError:
                if needed:
                    raise
            held |= needed
    if not held:
        raise FileNotFoundError(directory)


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _parents(controller: str) -> Iterator[str]:
    """Directories in which a group with this controller may be made, nearest first."""
    own = _own_groups()
    for mount, root, kind, options in _mounts():
        if kind == "cgroup" and controller in options and controller in own:
            yield _below(mount, root, own[controller])
        if kind == "cgroup2":
            yield from _delegating(mount, _below(mount, root, own.get("", "/")), controller)


def _delegating(mount: str, directory: str, controller: str) -> Iterator[str]:
    """Walk up to where children get the controller: a v2 group with processes of its own can't give it."""
    while len(directory) >= len(mount):
        if controller.encode() in processes.read(f"{directory}/cgroup.subtree_control").split():
            yield directory
        directory = directory.rpartition("/")[0]


def _own_groups() -> dict[str, str]:
    """Controller -> path of our group; the v2 hierarchy has the empty name."""
    groups: dict[str, str] = {}
    for line in processes.read(f"{ROOT}/cgroup").decode(errors="replace").splitlines():
        _, controllers, path = line.split(":", 2)
        groups |= dict.fromkeys(controllers.split(","), path)
    return groups


def _mounts() -> Iterator[tuple[str, str, str, list[str]]]:
    """Mount point, its root within the hierarchy, type and options of each cgroup mount."""
    for line in processes.read(f"{ROOT}/mountinfo").decode(errors="replace").splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind in {"cgroup", "cgroup2"}:
            fields = before.split()
            yield fields[4].rstrip("/"), fields[3], kind, options.split(",")


def _below(mount: str, root: str, path: str) -> str:
    """Where *path* of the hierarchy is found under a mount that shows the hierarchy from *root* on."""
    if root != "/":
        path = path.removeprefix(root)
    return (mount + "/" + path.strip("/")).rstrip("/")


class MemoryWatch:
    """Looks at the memory of a process tree in time to stop it near its limit."""

    def __init__(self, limit: int) -> None:
        """*limit* in bytes."""
        self._limit = limit
        self.peak = 0

    def look(self, pids: list[int]) -> tuple[bool, float]:
        """Whether the tree is over its limit, and in how many seconds to look again."""
        used = processes.memory_bytes(pids)
        if used > self._limit:  # perhaps only because forked processes share pages
            used = processes.proportional_bytes(pids) or used
        self.peak = max(self.peak, used)
        room = max(self._limit - used, 0)
        return used > self._limit, min(max(room / _FASTEST_GROWTH, 0.01), 0.25)


class CpuThrottle:
    """Holds a process tree to a number of CPUs by stopping it whenever it is ahead of its share."""

    def __init__(self, cpus: float, now: float, reaped: Callable[[], float]) -> None:
        """*reaped*: CPU seconds of processes that have ended."""
        self._cpus = cpus
        self._reaped = reaped
        self._seen = now
        self._used = 0.0
        self._balance = 0.0
        self.stopped = False

    def look(self, pids: list[int], now: float) -> float:
        """Stop or continue the tree; return in how many seconds to look again."""
        used = processes.cpu_seconds(pids) + self._reaped()
        earned = self._cpus * (now - self._seen)
        self._balance = min(self._balance + earned - max(used - self._used, 0.0), self._cpus * 0.1)
        self._seen, self._used = now, max(used, self._used)
        self._set(pids, stopped=self._balance < 0)
        return min(max(-self._balance / self._cpus, 0.02), 0.5) if self.stopped else 0.05

    def _set(self, pids: list[int], *, stopped: bool) -> None:
        if stopped or self.stopped:  # a process forked before its parent was stopped is caught the next time
            for pid in pids:
                processes.send(pid, signal.SIGSTOP if stopped else signal.SIGCONT)
        self.stopped = stopped
