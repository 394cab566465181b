"""What of a state folder runs at this moment: for commands that look and start nothing."""

from __future__ import annotations

from pathlib import Path

from bullpen_operator.local.folder import AttemptFolder
from bullpen_operator.local.redis import answers, is_owned, last_port
from bullpen_operator.local.store_folder import StoreFolder


def redis_url(state: Path) -> str | None:
    """URL of the embedded Redis; None: it does not run, or the folder is not ours to look into."""
    folder = state / "redis"
    try:
        port = last_port(folder)
        return f"redis://127.0.0.1:{port}" if port and is_owned(folder) and answers(port) else None
    except OSError:
        return None


def graph_url(state: Path) -> str | None:
    """URL of the embedded store's repository; None: it does not run, or the folder is not ours to look into."""
    folder = StoreFolder(state / "store")
    owner = folder.owner()
    try:
        return owner.url if owner is not None and folder.is_owned() else None
    except OSError:
        return None


def attempt_folder(state: Path, name: str) -> AttemptFolder | None:
    """Find the folder of an attempt by its name, also of one that has ended; None: it did not run from here."""
    for place in ("attempts", "ended"):
        for path in state.glob(f"jobqueues/*/{place}/{name}"):
            return AttemptFolder(path)
    return None
