"""Which job's runner holds the other end of a connection on loopback: found in /proc, so that nothing has to say so.

One `bullpen local` runs many jobs at once and sends all to one graph URL; a store for each of them needs to know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bullpen_operator.local import processes
from bullpen_protocol.assignment import VARIABLES

_TABLES: Final = ("/proc/net/tcp", "/proc/net/tcp6")


@dataclass(frozen=True, slots=True)
class JobKey:
    """A job's place in Redis."""

    prefix: str
    queue: str
    job_id: str


def asker(client_port: int, server_port: int) -> JobKey | None:
    """Return the job whose runner connected from *client_port*; None for anybody else."""
    for inode in _inodes(client_port, server_port):
        for pid in processes.every_pid():
            job = _job_of(pid)
            if job is not None and f"socket:[{inode}]" in _open_files(pid):
                return job
    return None


def _inodes(client_port: int, server_port: int) -> Iterator[str]:
    """Number of the client's socket; the columns are those of proc(5)."""
    wanted = (f"{client_port:04X}", f"{server_port:04X}")
    for table in _TABLES:
        for line in Path(table).read_text().splitlines()[1:]:
            columns = line.split()
            if (columns[1].rpartition(":")[2], columns[2].rpartition(":")[2]) == wanted:
                yield columns[9]


def _job_of(pid: int) -> JobKey | None:
    environment = _environment(pid)
    try:
        return JobKey(*(environment[VARIABLES[name]] for name in ("prefix", "queue", "job_id")))
    except KeyError:
        return None


def _environment(pid: int) -> Mapping[str, str]:
    variables = processes.read(f"/proc/{pid}/environ").split(b"\0")
    return {name.decode(): value.decode() for name, _, value in (variable.partition(b"=") for variable in variables)}


def _open_files(pid: int) -> set[str]:
    try:
        return {str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:  # gone, or a file of it closed meanwhile
        return set()
