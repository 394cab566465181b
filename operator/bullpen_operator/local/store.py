"""The embedded triplestore, for whoever needs one: started as a process of its own, or found running.

    python -m bullpen_operator.local.store --state DIR [--port N] [--durability process|disk]

prints its repository's URL once it is ready, and keeps it in DIR/store.json. From Python: `start_store`.
"""

from __future__ import annotations

import http.client
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, Literal
from urllib.parse import urlsplit

from bullpen_operator.local.store_folder import ALREADY_SERVED, StoreFolder, StoreTakenError, StoreUnusableError

__all__ = ["RunningStore", "StoreTakenError", "StoreUnusableError", "start_store"]

LINGER_S: Final = 600.0
"""How long a store outlives its last user: attempts whose `bullpen local` was killed still have to write."""

_POLL_S: Final = 0.05


@dataclass(slots=True)
class RunningStore:
    """A store that answers at `url`. It runs as long as one of its users lives, and LINGER_S more."""

    url: str
    pid: int
    folder: StoreFolder
    _user: IO[str] = field(repr=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def leave(self) -> None:
        """Use the store no more; it ends by itself."""
        self._user.close()

    def stop(self, timeout_s: float = 10.0) -> None:
        """End the store, whoever started it. Every acknowledged write is kept."""
        for number, seconds in ((signal.SIGTERM, timeout_s), (signal.SIGKILL, timeout_s)):
            if self.folder.is_owned():
                with suppress(ProcessLookupError):
                    os.kill(self.pid, number)
            self._await_end(seconds)
        if self._process is not None:
            self._process.wait()
        self.leave()

    def _await_end(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.folder.is_owned() and time.monotonic() < deadline:
            time.sleep(_POLL_S)


def start_store(
    state: Path,
    port: int = 0,
    *,
    durability: Literal["process", "disk"] = "process",
    linger_s: float = LINGER_S,
    timeout_s: float = 30.0,
) -> RunningStore:
    """Return the store of a folder, started if it does not run. Blocks for about 0.3 s.

    Port 0 is the folder's last one where that is free: URLs that attempts were given before a restart stay good.

    Raises:
        StoreUnusableError: the folder or the port cannot be used.
    """
    folder = StoreFolder(state)
    folder.make()
    user = folder.use()
    options = ["--port", str(port), "--durability", durability, "--linger", str(linger_s)]
    deadline = time.monotonic() + timeout_s
    try:
        while time.monotonic() < deadline:
            if folder.is_owned():
                owner = folder.owner()
                if owner is not None and _answers(owner.url):
                    return RunningStore(owner.url, owner.pid, folder, user)
                time.sleep(_POLL_S)  # it is just starting, or just ending
                continue
            process = _spawn(folder, options)
            if url := _first_line(process, deadline):
                return RunningStore(url, process.pid, folder, user, process)
            if process.wait() != ALREADY_SERVED:
                raise StoreUnusableError(_last_words(folder))
        raise StoreUnusableError(f"the triplestore in {state} did not answer within {timeout_s:g} s; see {folder.log}")
    except BaseException:
        user.close()
        raise


def _spawn(folder: StoreFolder, options: list[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "bullpen_operator.local.store", "--state", str(folder.path), *options]
    with folder.log.open("ab") as log:
        # a session of its own: Ctrl-C is for `bullpen local`, whose attempts still have results to write
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )


def _first_line(process: subprocess.Popen[bytes], deadline: float) -> str:
    """Wait for the line that says the store is ready; empty if the process ended or is late."""
    assert process.stdout is not None
    with process.stdout as output:
        ready, _, _ = select.select([output], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            process.kill()
        return output.readline().decode().strip()


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=2.0)
    try:
        connection.request("GET", "/protocol")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _last_words(folder: StoreFolder) -> str:
    lines = folder.log.read_text(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else f"the triplestore in {folder.path} ended as it started"


if __name__ == "__main__":
    from bullpen_operator.local.store_owner import main  # pyoxigraph is loaded by the owner alone

    sys.exit(main())
