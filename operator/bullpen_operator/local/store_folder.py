"""The folder of an embedded triplestore: who owns it, who uses it, where it answers."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Final

ALREADY_SERVED: Final = 75
"""Exit code: another process owns the folder."""

UNUSABLE: Final = 64
"""Exit code: the folder or the port cannot be used; standard error says why."""

_TRIES: Final = 10


class StoreUnusableError(Exception):
    """The store cannot be opened here; one sentence says why."""


class StoreTakenError(StoreUnusableError):
    """Another process owns the folder."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that serves a folder, and its repository's URL."""

    url: str
    pid: int
    port: int


@dataclass(frozen=True, slots=True)
class StoreFolder:
    """The kernel lets go of both locks when a process dies, however it dies."""

    path: Path

    @property
    def data(self) -> Path:
        """Where RocksDB keeps its files."""
        return self.path / "data"

    @property
    def log(self) -> Path:
        """What a store started by `start_store` had to say."""
        return self.path / "store.log"

    def make(self) -> None:
        """Make the folder, readable by us alone."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StoreUnusableError(
                f"the triplestore's folder {self.path} cannot be made: {error.strerror}"
            ) from error

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Be the only owner; raises StoreTakenError, which says who is."""
        self.make()
        with (self.path / "owner.lock").open("a") as lock:
            if not _locked_soon(lock):
                owner = self.owner()
                where = f" at {owner.url} (process {owner.pid})" if owner else ""
                raise StoreTakenError(f"the triplestore in {self.path} is already served{where}; use that one")
            yield

    def is_owned(self) -> bool:
        """Whether a living process owns the folder."""
        with (self.path / "owner.lock").open("a") as lock:
            return not _locked(lock)

    def use(self) -> IO[str]:
        """Count as a user until the file that is returned is closed, or this process ends."""
        lock = (self.path / "users.lock").open("a")
        fcntl.flock(lock, fcntl.LOCK_SH)
        return lock

    def is_used(self) -> bool:
        """Whether a user lives."""
        with (self.path / "users.lock").open("a") as lock:
            return not _locked(lock)

    def owner(self) -> Owner | None:
        """Return the last owner that said where it answers; it may be gone."""
        try:
            known = json.loads((self.path / "store.json").read_text())
            return Owner(str(known["url"]), int(known["pid"]), int(known["port"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def announce(self, owner: Owner) -> None:
        """Say where the store answers, at once or not at all."""
        draft = self.path / ".store.json"
        draft.write_text(json.dumps(asdict(owner)) + "\n")
        draft.replace(self.path / "store.json")


def _locked_soon(lock: IO[str]) -> bool:
    """Lock it even if another process is just looking whether it is locked, which it does by locking it."""
    for _ in range(_TRIES):
        if _locked(lock):
            return True
        time.sleep(0.02)
    return False


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
