"""Where the files of this process's cgroup are, v2 or v1."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

PROC: Final = Path("/proc/self/cgroup")
MOUNT: Final = Path("/sys/fs/cgroup")


class File(NamedTuple):
    """One file under its names in either version."""

    v2: str
    controller: str
    """Of v1, which mounts each one on its own."""
    v1: str


def find(file: File, proc: Path = PROC, mount: Path = MOUNT) -> Path | None:
    """Return where *file* is; None where there is none."""
    try:
        lines = proc.read_text().splitlines()
    except OSError:
        return None
    for candidate in _candidates(file, lines, mount):
        if candidate.is_file():
            return candidate
    return None


def _candidates(file: File, lines: list[str], mount: Path) -> list[Path]:
    """A container without its own cgroup namespace reads the host's path, while its mount starts at itself."""
    found = []
    for line in lines:
        number, controllers, path = line.split(":", 2)
        inside = path.lstrip("/")
        if number == "0" and not controllers:
            found += [mount / inside / file.v2, mount / file.v2]
        elif file.controller in controllers.split(","):
            found += [mount / file.controller / inside / file.v1, mount / file.controller / file.v1]
    return found
