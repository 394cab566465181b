"""A processor that proves it runs alone: the kernel's lock on its job's byte of a file goes with the process."""

from __future__ import annotations

import fcntl
import os
import time
from typing import Any

from bullpen_processors.api import Context, Result


class Soaked:
    """Takes {"n": number of the job, "ms": how long to work}; settings: {"log": path, "locks": path}."""

    def process(self, payload: Any, context: Context) -> Result:
        """Work, and leave a line at start and end."""
        number = int(payload["n"])
        locks = os.open(context.settings["locks"], os.O_RDWR)
        try:
            fcntl.lockf(locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except OSError:
            _write(context.settings["log"], f"overlap {number}")
        _write(context.settings["log"], f"start {number}")
        context.report.progress(50)
        context.report.log(f"job {number}")
        time.sleep(payload["ms"] / 1000)
        _write(context.settings["log"], f"end {number}")
        return Result({"n": number})


def _write(path: str, line: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)
