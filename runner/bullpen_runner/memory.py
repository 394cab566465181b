"""Whether the kernel killed something of this container for memory: the counters of its cgroup, v2 or v1."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bullpen_runner import cgroup

COUNTER: Final = cgroup.File("memory.events", "memory", "memory.oom_control")
_KEY: Final = "oom_kill"


class OomKills:
    """Counts the kernel's kills for memory in this cgroup since the runner started."""

    def __init__(self, proc: Path = cgroup.PROC, mount: Path = cgroup.MOUNT) -> None:
        self._file = cgroup.find(COUNTER, proc, mount)
        self._before = self._read()

    def seen(self) -> bool | None:
        """Tell whether there was one; None where the counter can't be read."""
        now = self._read()
        if now is None or self._before is None:
            return None
        return now > self._before

    def _read(self) -> int | None:
        if self._file is None:
            return None
        try:
            return parse_counter(self._file.read_text())
        except OSError:
            return None


def parse_counter(text: str) -> int | None:
    """Read `oom_kill N` out of either file; kernels before 4.13 have no such line."""
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == _KEY and value.strip().isdigit():
            return int(value)
    return None
