"""What a process costs from its start to its exit."""

from __future__ import annotations

import os
import subprocess
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
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
        source.write(given)
        source.seek(0)
        process = subprocess.Popen(command, stdin=source, stdout=target, stderr=subprocess.DEVNULL, cwd=cwd)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        target.seek(0)
        return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, process.returncode, target.read())
