"""What a process costs from its start to its exit.

A process that is started by a large one begins with its parent's peak memory; so a small one starts those that are
measured: this module, run by itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """What a process used."""

    cpu_s: float
    """User and system."""
    peak_mb: float
    code: int
    """Exit code, negative for a signal."""
    output: bytes = b""


def run(command: Sequence[str], given: bytes = b"", cwd: Path | None = None) -> Cost:
    """Run *command* to its end."""
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target, tempfile.TemporaryFile() as told:
        source.write(given)
        source.seek(0)
        handle = told.fileno()
        starter = [sys.executable, "-I", "-S", __file__, str(handle), *command]
        subprocess.run(starter, stdin=source, stdout=target, cwd=cwd, pass_fds=[handle], check=True)
        told.seek(0)
        target.seek(0)
        cpu_s, peak_mb, code = json.loads(told.read())
        return Cost(cpu_s, peak_mb, code, target.read())


def _start(handle: int, command: Sequence[str]) -> None:
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    told = [used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, process.returncode]
    os.write(handle, json.dumps(told).encode())


if __name__ == "__main__":
    _start(int(sys.argv[1]), sys.argv[2:])
