"""The state folder of `bullpen local`: one installation, one operator at a time."""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bullpen_operator.local.folder import AttemptFolder
from bullpen_operator.naming import installation_id

NAMESPACE: Final = "local"


class StateError(Exception):
    """The state folder can't be used; one sentence says why and what to do."""


@dataclass(slots=True)
class StateFolder:
    """Folders by purpose, and the lock that keeps a second operator out until this process ends, however it ends."""

    path: Path
    _lock: int = -1

    @classmethod
    def take(cls, path: Path) -> StateFolder:
        """Make the folder and be its only operator; raises StateError."""
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            (path / ".gitignore").write_text("*\n")
            lock = os.open(path / "operator.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(
                f"the state folder {path} can't be used: {error.strerror}; choose one with --state"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(lock, 20).decode().strip()
            os.close(lock)
            raise StateError(
                f"another `bullpen local` (process {holder}) serves from {path}; end it, or choose another with --state"
            ) from error
        os.truncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        return cls(path.resolve(), lock)

    def leave(self) -> None:
        """Let another operator in."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @property
    def redis(self) -> Path:
        """Of the embedded Redis."""
        return self.path / "redis"

    @property
    def store(self) -> Path:
        """Of the embedded triplestore."""
        return self.path / "store"

    def jobqueue(self, name: str) -> Path:
        """Of the attempts of one JobQueue."""
        return self.path / "jobqueues" / name

    def attempts(self) -> Iterator[AttemptFolder]:
        """Attempts that are not over and recorded, of every JobQueue that was ever served from here."""
        return map(AttemptFolder, sorted(self.path.glob("jobqueues/*/attempts/[!.]*")))

    def installation(self, jobqueue: str) -> str:
        """Tell the JobQueue of this folder from all others in the world, also after the folder was moved."""
        return installation_id(self._identity(), NAMESPACE, jobqueue)

    def _identity(self) -> str:
        file = self.path / "installation"
        if not file.exists():
            draft = self.path / ".installation"
            draft.write_text(f"{uuid.uuid4()}\n")
            draft.replace(file)
        return file.read_text().strip()
