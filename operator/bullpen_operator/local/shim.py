"""The small process above each local runner: what the kubelet is to a pod. It outlives the operator.

It holds the flock of the attempt's folder while it lives, starts the runner once and never again, enforces the
limits, ends every process of the attempt and then writes `exit.json`, atomically: the last word on the attempt.

Standard library only, with few imports: it starts in about 25 ms, once per attempt.
"""

# pathlib alone would double the time this takes to start.
# ruff: noqa: PTH105, PTH110, PTH119, PTH123, PTH202
from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import sys
import time
from typing import Any, Final

from bullpen_operator.local import processes
from bullpen_operator.local.limits import ControlGroup, CpuThrottle, MemoryWatch

LOG_LIMIT_BYTES: Final = 10 << 20
"""What an attempt's output may take on disk, as with the kubelet; beyond it the output starts again."""
STARTED: Final = 3
"""Descriptor that the launcher waits on: closed once the runner is on disk and free to run."""
_IDLE_S: Final = 5.0
_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD})
"""SIGTERM: end within the grace time; SIGUSR1: end now."""


def main() -> None:
    """Run the attempt whose folder is the only argument; its environment is the runner's."""
    folder = sys.argv[1]
    os.set_inheritable(STARTED, False)
    lock = os.open(f"{folder}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)  # a second shim waits here until the first has ended, and then has nothing to do
    if any(os.path.exists(f"{folder}/{name}") for name in ("process.json", "exit.json")):
        return
    if not os.path.exists(f"{folder}/attempt.json"):  # it is over, and its folder was moved while we waited
        return
    os.truncate(lock, 0)
    os.write(lock, f"{os.getpid()} {processes.start_ticks(os.getpid())}\n".encode())
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    processes.become_subreaper()
    Shim(folder).run()


def write_json(path: str, body: dict[str, Any]) -> None:
    """Write *path* so that a reader sees all of it or nothing."""
    with open(f"{path}.tmp", "w", encoding="utf-8") as file:
        json.dump(body, file)
    os.replace(f"{path}.tmp", path)


class Shim:
    """One attempt, from the start of its runner to `exit.json`."""

    def __init__(self, folder: str) -> None:
        """Read what the launcher wrote about the attempt."""
        with open(f"{folder}/attempt.json", encoding="utf-8") as file:
            body = json.load(file)
        self._folder = folder
        self._command: list[str] = body["command"]
        limits = body["limits"]
        self._grace_s: float = limits["grace_s"]
        by_kernel = limits["control_groups"]
        self._group = ControlGroup(
            os.path.basename(folder), limits["memory"] if by_kernel else None, limits["cpu"] if by_kernel else None
        )
        self._memory_limit: int | None = limits["memory"]
        self._cpu_limit: float | None = limits["cpu"]
        self._memory: MemoryWatch | None = None
        self._cpu: CpuThrottle | None = None
        self._runner = 0
        self._status: int | None = None
        self._reason = ""
        self._deadline: float = time.monotonic() + limits["deadline_s"]
        self._kill_at = float("inf")
        self._started_at = time.time()

    def run(self) -> None:
        """Start, watch, end, report."""
        if not os.path.exists(f"{self._folder}/deleting"):
            self._start()
            while self._status is None:
                self._wait(self._look(time.monotonic()))
        processes.end_all(self._tree, self._reap, patience_s=float("inf"))  # ended means ended
        self._reap()
        self._report()
        self._group.remove()

    def _start(self) -> None:
        """Fork the runner and let it go on only when its identity is on disk: no crash leaves an unknown one."""
        gate, opened = os.pipe()
        shim = os.getpid()
        self._runner = os.fork()
        if self._runner == 0:
            os.close(opened)
            _become_runner(self._folder, self._command, gate, shim)
        os.close(gate)
        self._group.add(self._runner)
        self._watch_what_the_kernel_does_not()
        write_json(
            f"{self._folder}/process.json",
            {
                "pid": self._runner,
                "start_ticks": processes.start_ticks(self._runner),
                "boot_id": processes.boot_id(),
                "cgroups": self._group.directories,
                "memory_by": "cgroup" if self._group.holds_memory else "watch" if self._memory else "",
                "cpu_by": "cgroup" if self._group.holds_cpu else "throttle" if self._cpu else "",
                "started_at": self._started_at,
            },
        )
        os.write(opened, b"1")
        os.close(opened)
        os.close(STARTED)

    def _watch_what_the_kernel_does_not(self) -> None:
        if self._memory_limit and not self._group.holds_memory:
            self._memory = MemoryWatch(self._memory_limit)
        if self._cpu_limit and not self._group.holds_cpu:
            self._cpu = CpuThrottle(self._cpu_limit, time.monotonic(), _reaped_seconds)

    def _tree(self) -> list[int]:
        return [pid for pid in processes.descendants(os.getpid()) if not processes.is_zombie(pid)]

    def _look(self, now: float) -> float:
        """Enforce every limit; return in how many seconds to look again."""
        self._bound_log()
        if now >= self._deadline:
            self._end("DeadlineExceeded")
        if now >= self._kill_at:
            processes.end_all(self._tree)
            return 0.0
        waits = [_IDLE_S, min(self._deadline, self._kill_at) - now]
        if self._memory or self._cpu:
            waits += self._look_at_tree(now)
        return min(waits)

    def _look_at_tree(self, now: float) -> list[float]:
        pids = self._tree()
        waits: list[float] = []
        if self._memory:
            over, wait = self._memory.look(pids)
            waits.append(wait)
            if over:
                self._reason = "OOMKilled"
                processes.end_all(self._tree)
        if self._cpu:
            waits.append(self._cpu.look(pids, now))
        return waits

    def _end(self, reason: str = "") -> None:
        """Ask the runner to stop, once; what is left after the grace time is killed."""
        self._deadline = float("inf")
        if self._kill_at == float("inf"):
            self._reason = self._reason or reason
            self._kill_at = time.monotonic() + self._grace_s
            processes.send(self._runner, signal.SIGTERM)

    def _wait(self, seconds: float) -> None:
        received = signal.sigtimedwait(_SIGNALS, max(seconds, 0.0))
        if received is not None and received.si_signo != signal.SIGCHLD:
            self._end()
            if received.si_signo == signal.SIGUSR1:
                self._kill_at = 0.0
        self._reap()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._runner:
                self._status = status

    def _bound_log(self) -> None:
        path = f"{self._folder}/output.log"
        if os.path.exists(path) and os.path.getsize(path) > LOG_LIMIT_BYTES:
            os.truncate(path, 0)

    def _report(self) -> None:
        code, number = _exit_of(self._status)
        start_error = processes.read(f"{self._folder}/start-error").decode(errors="replace")
        largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        watched = self._memory.peak if self._memory else largest
        write_json(
            f"{self._folder}/exit.json",
            {
                "exit_code": 128 if start_error else code,
                "signal": number,
                "reason": "StartError" if start_error else self._reason_of(code),
                "message": start_error,
                "started": self._status is not None and not start_error,
                "started_at": self._started_at,
                "finished_at": time.time(),
                "peak_memory_bytes": self._group.peak_bytes() or watched,
                "cpu_seconds": round(_reaped_seconds(), 3),
            },
        )

    def _reason_of(self, code: int) -> str:
        if self._reason:
            return self._reason
        if code != 0 and self._group.memory_kills():
            return "OOMKilled"
        return "Error" if code else "Completed"


def _become_runner(folder: str, command: list[str], gate: int, shim: int) -> None:
    """Turn the forked child into the runner; never returns."""
    try:
        os.setsid()
        processes.die_with_parent()
        if os.getppid() != shim or os.read(gate, 1) != b"1":
            os._exit(1)  # the shim died before it could vouch for us
        _reset_signals()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the payload
        os.chdir(f"{folder}/scratch")
        os.execve(command[0], command, os.environ)  # noqa: S606 - an argument list, no shell
    except OSError as error:
        with open(f"{folder}/start-error", "w", encoding="utf-8") as file:
            file.write(f"{command[0]} can't be started: {error.strerror}")
    finally:
        os._exit(127)


def _reset_signals() -> None:
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def _exit_of(status: int | None) -> tuple[int, int]:
    """Exit code as a kubelet gives it, and the signal that ended the process if one did."""
    if status is None:  # deleted before it was started
        return 128 + signal.SIGTERM, signal.SIGTERM
    code = os.waitstatus_to_exitcode(status)
    return (code, 0) if code >= 0 else (128 - code, -code)


def _reaped_seconds() -> float:
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
