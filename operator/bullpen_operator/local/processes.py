"""Processes of an attempt, read from /proc: who belongs to it, what they use, and how all of them are ended.

Standard library only, with few imports: every attempt's shim pays for them.
"""

# pathlib alone would double the time a shim takes to start.
# ruff: noqa: PTH208

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

PAGE: Final = os.sysconf("SC_PAGE_SIZE")
TICKS: Final = os.sysconf("SC_CLK_TCK")
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36


def read(path: str, limit: int = 1 << 20) -> bytes:
    """Content of a small file; empty when it is not there or not ours to read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, limit)
    except OSError:  # a process that ended between open and read
        return b""
    finally:
        os.close(descriptor)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def become_subreaper() -> None:
    """Make this process the parent of every orphan among its descendants: none can slip out by forking twice."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Have the kernel send *number* to this process when its parent ends; survives exec, not fork."""
    _prctl(_PR_SET_PDEATHSIG, number)


def boot_id() -> str:
    """Identity of this run of the kernel: process ids mean nothing in another one."""
    return read("/proc/sys/kernel/random/boot_id").decode().strip()


def _stat(pid: int) -> list[bytes]:
    """Fields of /proc/PID/stat after the command's name (which may hold spaces): [0] is field 3, the state."""
    return read(f"/proc/{pid}/stat").rpartition(b")")[2].split()


def start_ticks(pid: int) -> int:
    """When *pid* was started, in clock ticks since boot: with the pid this names one process. 0: there is none."""
    fields = _stat(pid)
    return int(fields[19]) if len(fields) > 19 else 0


def is_zombie(pid: int) -> bool:
    """Whether *pid* has ended and only waits for its parent to notice."""
    return _stat(pid)[:1] == [b"Z"]


def children(pid: int) -> Iterator[int]:
    """Direct children of all threads of *pid*."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return
    for thread in threads:
        yield from map(int, read(f"/proc/{pid}/task/{thread}/children").split())


def descendants(pid: int) -> list[int]:
    """Everything below *pid*, parents before their children."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = [child for child in children(waiting.pop()) if child not in found]
        found += below
        waiting += below
    return found


def every_pid() -> list[int]:
    """All processes that can be seen."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def belonging_to(leader: int, started: int, variable: str, cgroups: Iterable[str]) -> list[int]:
    """Processes of an attempt whose shim is gone: by control group, by a variable (`NAME=value`) of their
    environment, and by session while its leader, who started at *started*, lives: later the number may be another's.
    """
    marker = variable.encode()
    inside = {int(pid) for group in cgroups for pid in read(f"{group}/cgroup.procs").split()}
    session = leader if start_ticks(leader) == started else -1
    return [pid for pid in every_pid() if (pid in inside or _is_of(pid, session, marker)) and not is_zombie(pid)]


def _is_of(pid: int, session: int, marker: bytes) -> bool:
    fields = _stat(pid)
    in_session = len(fields) > 3 and int(fields[3]) == session
    return in_session or marker in read(f"/proc/{pid}/environ").split(b"\0")


def send(pid: int, number: int) -> None:
    """Signal *pid*; one that is gone is fine."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def end_all(find: Callable[[], list[int]], reap: Callable[[], None] = lambda: None, patience_s: float = 30.0) -> bool:
    """Kill until *find* finds nothing. Stops everything first, so that none can fork ahead of the killing.

    Returns whether all are gone; a process stuck in the kernel may outlast *patience_s*.
    """
    until = time.monotonic() + patience_s
    stopped: set[int] = set()
    while fresh := set(find()) - stopped:
        for pid in fresh:
            send(pid, signal.SIGSTOP)
        stopped |= fresh
    pause = 0.001
    while left := find():
        if time.monotonic() > until:
            return False
        for pid in left:
            send(pid, signal.SIGKILL)
        time.sleep(pause)
        reap()
        pause = min(pause * 2, 0.05)
    return True


def memory_bytes(pids: Iterable[int]) -> int:
    """Private and shared memory in use by *pids* that no file backs (what a control group can't reclaim)."""
    total = 0
    for pid in pids:
        fields = read(f"/proc/{pid}/statm").split()
        if len(fields) > 2:
            total += (int(fields[1]) - int(fields[2])) * PAGE
    return total


def proportional_bytes(pids: Iterable[int]) -> int:
    """The same with pages shared between processes counted once; dearer to ask."""
    total = 0
    for pid in pids:
        for line in read(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith((b"Pss_Anon:", b"Pss_Shmem:")):
                total += int(line.split()[1]) * 1024
    return total


def cpu_seconds(pids: Iterable[int]) -> float:
    """Processor time of *pids* and of the children they have waited for."""
    ticks = 0
    for pid in pids:
        fields = _stat(pid)
        if len(fields) > 14:
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / TICKS
