"""What an attempt has used: of its container as the kernel counts it, else of its own two processes.

A local attempt shares its cgroup with whatever started it, so the numbers of a cgroup count only while nobody else is
in it.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bullpen_runner import cgroup

PEAK: Final = cgroup.File("memory.peak", "memory", "memory.max_usage_in_bytes")
CPU: Final = cgroup.File("cpu.stat", "cpuacct", "cpuacct.usage")
STATUS: Final = Path("/proc/self/status")
_MAXRSS_UNIT: Final = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True)
class Used:
    """Most bytes at one time, and seconds of processor time."""

    memory_bytes: int
    cpu_s: float

    def to_json(self) -> list[float]:
        """Render for the child's frames."""
        return [self.memory_bytes, self.cpu_s]

    def plus(self, other: Used | None) -> Used:
        """Add another process."""
        return self if other is None else Used(self.memory_bytes + other.memory_bytes, self.cpu_s + other.cpu_s)


def of_this_process() -> Used:
    """Read what this process and the children that it waited for have used; their peaks need not have come together."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = _high_water() or own.ru_maxrss * _MAXRSS_UNIT
    cpu_s = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    return Used(peak + children.ru_maxrss * _MAXRSS_UNIT, cpu_s)


def _high_water() -> int | None:
    """Read this process's peak where Linux tells it: ru_maxrss also counts what whoever started us held just then."""
    try:
        lines = STATUS.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, ValueError, StopIteration):
        return None


def reported(body: Mapping[str, Any]) -> Used | None:
    """Read what a child says of itself in a frame."""
    used = body.get("used")
    return Used(int(used[0]), float(used[1])) if used else None


class Usage:
    """Made when the child has just been forked: whose cgroup it is, is seen then."""

    def __init__(self, child: int, proc: Path = cgroup.PROC, mount: Path = cgroup.MOUNT) -> None:
        self._peak = _own(cgroup.find(PEAK, proc, mount), {os.getpid(), child})
        self._cpu = _own(cgroup.find(CPU, proc, mount), {os.getpid(), child})

    def used(self, child: Used | None) -> Used:
        """Return what was used up to now; *child* is what the child said, None if it has been waited for."""
        here = of_this_process().plus(child)
        peak, cpu = _number(self._peak, PEAK), _number(self._cpu, CPU)
        return Used(here.memory_bytes if peak is None else int(peak), here.cpu_s if cpu is None else cpu)


def _own(file: Path | None, processes: set[int]) -> Path | None:
    """Return *file* if nobody but *processes* is in its cgroup."""
    if file is None:
        return None
    try:
        inside = {int(line) for line in (file.parent / "cgroup.procs").read_text().split()}
    except (OSError, ValueError):
        return None
    return file if inside and inside <= processes else None


def _number(file: Path | None, kind: cgroup.File) -> float | None:
    """Read bytes or seconds."""
    if file is None:
        return None
    try:
        text = file.read_text()
        if kind is PEAK:
            return int(text)
        if file.name == CPU.v1:
            return int(text) / 1e9
        return next(int(line.split()[1]) / 1e6 for line in text.splitlines() if line.startswith("usage_usec "))
    except (OSError, ValueError, IndexError, StopIteration):
        return None
