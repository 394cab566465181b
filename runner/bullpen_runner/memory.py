"""Whether the kernel killed something of this container for memory: the counters of its cgroup, v2 or v1."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_KEY: Final = "oom_kill"


class OomKills:
    """Counts the kernel's kills for memory in this cgroup since the runner started."""

    def __init__(self, proc: Path = Path("/proc/self/cgroup"), mount: Path = Path("/sys/fs/cgroup")) -> None:
        self._file = find_counter(proc, mount)
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


def find_counter(proc: Path, mount: Path) -> Path | None:
    """Return the file with the counter: `memory.events` (v2) or `memory.oom_control` (v1)."""
    try:
        lines = proc.read_text().splitlines()
    except OSError:
        return None
    for candidate in _candidates(lines, mount):
        if candidate.is_file():
            return candidate
    return None


def _candidates(lines: list[str], mount: Path) -> list[Path]:
    """A container without its own cgroup namespace reads the host's path, while its mount starts at itself."""
    found = []
    for line in lines:
        number, controllers, path = line.split(":", 2)
        inside = path.lstrip("/")
        if number == "0" and not controllers:
            found += [mount / inside / "memory.events", mount / "memory.events"]
        elif "memory" in controllers.split(","):
            found += [mount / "memory" / inside / "memory.oom_control", mount / "memory" / "memory.oom_control"]
    return found


def parse_counter(text: str) -> int | None:
    """Read `oom_kill N` out of either file; kernels before 4.13 have no such line."""
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == _KEY and value.strip().isdigit():
            return int(value)
    return None
