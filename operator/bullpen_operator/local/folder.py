"""The folder of one local attempt: what is on disk about it, and what that means in the terms of a KubeJob."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from bullpen_operator.local import processes
from bullpen_operator.local.limits import remove_groups
from bullpen_operator.seen import Attempt, KubeJobSeen, PodPhase, PodSeen, Terminated

NODE: Final = "local"
LOST_SHIM: Final = "ContainerStatusUnknown"
"""What the kubelet says of a container whose end it did not see."""
CANNOT_START: Final = "StartError"
"""What the kubelet says of a container whose program can't be run: a fault of the configuration."""
_MESSAGE_LIMIT: Final = 4096


@dataclass(frozen=True, slots=True)
class Limits:
    """What an attempt may use; None: as much as there is."""

    deadline_s: float
    memory: int | None = None
    cpu: float | None = None
    grace_s: float = 30.0
    control_groups: bool = True


class AttemptFolder:
    """One attempt on disk. Blocking: call it in a thread."""

    def __init__(self, path: Path) -> None:
        """Name a folder; it need not exist."""
        self.path = path

    @property
    def name(self) -> str:
        """Name of the attempt."""
        return self.path.name

    @property
    def jobqueue(self) -> str:
        """Name of the JobQueue, by the place of the folder: <jobqueue>/attempts/<name>."""
        return self.path.parent.parent.name

    def create(self, attempt: Attempt, limits: Limits, command: list[str]) -> bool:
        """Make the folder as a whole or not at all; False: it is there already."""
        draft = self.path.with_name(f".{self.name}-{uuid.uuid4().hex}")
        (draft / "scratch").mkdir(parents=True, mode=0o700)
        body = {
            "attempt": asdict(attempt),
            "pod_uid": str(uuid.uuid4()),
            "created_at": time.time(),
            "limits": asdict(limits),
            "command": command,
        }
        (draft / "attempt.json").write_text(json.dumps(body))
        try:
            draft.rename(self.path)
        except OSError:
            shutil.rmtree(draft)
            return False
        return True

    @cached_property
    def _body(self) -> Mapping[str, Any]:
        return _object(self.path / "attempt.json")

    @property
    def exists(self) -> bool:
        """Whether there is an attempt of this name."""
        return bool(self._body)

    @property
    def pod_uid(self) -> str:
        """Half of the fence: a folder has one process in its whole life, so this is a uuid per process."""
        return str(self._body["pod_uid"])

    @cached_property
    def attempt(self) -> Attempt:
        """What the claim fixed."""
        return Attempt.of(self._body["attempt"])

    @property
    def started(self) -> bool:
        """A runner was started here once: none will be again."""
        return (self.path / "process.json").exists() or (self.path / "exit.json").exists()

    @property
    def ended(self) -> bool:
        """The last word is written; every process is gone."""
        return bool(self._exit)

    @property
    def recorded(self) -> bool:
        """Provenance was handed over."""
        return (self.path / "recorded").exists()

    def mark(self, what: str) -> None:
        """Set a mark, `recorded` or `deleting`; no folder is fine."""
        with contextlib.suppress(FileNotFoundError):
            (self.path / what).touch()

    @property
    def _exit(self) -> Mapping[str, Any]:
        return _object(self.path / "exit.json")

    @property
    def process(self) -> Mapping[str, Any]:
        """The runner's pid, limits' keepers and start; empty before it was started."""
        return _object(self.path / "process.json")

    def live(self) -> bool:
        """Whether a shim holds the folder."""
        with self._try_lock(fcntl.LOCK_SH) as free:
            return not free

    def shim(self) -> tuple[int, int]:
        """(pid, start ticks) of the shim that last held the folder; zeros: none has yet."""
        pid, _, ticks = processes.read(str(self.path / "lock")).partition(b" ")
        return (int(pid), int(ticks)) if ticks else (0, 0)

    @contextlib.contextmanager
    def _try_lock(self, kind: int) -> Iterator[bool]:
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            yield True
            return
        try:
            yield _flock(descriptor, kind)
        finally:
            os.close(descriptor)

    def see(self, *, starting: bool = False) -> KubeJobSeen | None:
        """Read the attempt; one that was never started is none, unless *starting*.

        A shim that died without its last word is mourned here: see `_close`.
        """
        if not self.exists:
            return None
        live = self.live()
        if not live and self.started and not self.ended:
            self._close()
        if not (live or starting or self.started):
            return None
        return KubeJobSeen(
            name=self.name,
            attempt=self.attempt,
            created_at=datetime.fromtimestamp(self._body["created_at"], UTC),
            recorded=self.recorded,
            deleting=(self.path / "deleting").exists(),
            pods=(self._pod(),),
        )

    def _pod(self) -> PodSeen:
        body = self._exit
        started = bool(body["started"] if body else self.process)
        return PodSeen(
            uid=self.pod_uid,
            name=self.name,
            phase=_phase(body, started=started),
            reason="" if started else str(body.get("reason", "")),
            message="" if started else str(body.get("message", "")),
            node=NODE,
            node_ready=True,
            deleting=(self.path / "deleting").exists(),
            started=started,
            # A container that never was has no end; only that it can't be started is said of it.
            terminated=self._terminated(body) if started or body.get("reason") == CANNOT_START else None,
            started_at=_moment(body.get("started_at")),
            finished_at=_moment(body.get("finished_at")),
            memory_peak_bytes=body.get("peak_memory_bytes"),
            cpu_seconds=body.get("cpu_seconds"),
        )

    def _terminated(self, body: Mapping[str, Any]) -> Terminated | None:
        if not body:
            return None
        message = processes.read(str(self.path / "termination-log"), _MESSAGE_LIMIT).decode(errors="replace")
        return Terminated(
            int(body["exit_code"]), str(body["reason"]), message or str(body["message"]), int(body["signal"])
        )

    def _close(self) -> None:
        """The shim is dead and left no word: end what it left running, then write the word in its stead."""
        with self._try_lock(fcntl.LOCK_EX) as alone:
            if not alone or self.ended:
                return
            process = self.process
            if process.get("boot_id") == processes.boot_id() and not self._end_processes(process):
                return  # stuck in the kernel: not ended yet
            remove_groups(process.get("cgroups", []))
            self.write_exit(LOST_SHIM, "the process that watched this attempt was killed", started=True)

    def _end_processes(self, process: Mapping[str, Any]) -> bool:
        def left() -> list[int]:
            mark = f"BULLPEN_POD_UID={self.pod_uid}"
            return processes.belonging_to(process["pid"], process["start_ticks"], mark, process["cgroups"])

        return processes.end_all(left, patience_s=10.0)

    def fail_start(self, message: str) -> None:
        """Say that the runner could not be started, unless it was after all."""
        with self._try_lock(fcntl.LOCK_EX) as alone:
            if alone and self.exists and not self.started:
                self.write_exit("NotStarted", message, started=False)

    def write_exit(self, reason: str, message: str, *, started: bool) -> None:
        """Write the last word in a shim's stead."""
        code = 137 if started else 128
        body = {"exit_code": code, "signal": 0, "reason": reason, "message": message, "started": started}
        draft = self.path / "exit.json.tmp"
        draft.write_text(json.dumps(body | {"finished_at": time.time()}))
        draft.replace(self.path / "exit.json")


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _phase(body: Mapping[str, Any], *, started: bool) -> PodPhase:
    if body:
        return PodPhase.SUCCEEDED if body["exit_code"] == 0 else PodPhase.FAILED
    return PodPhase.RUNNING if started else PodPhase.PENDING


def _flock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _object(path: Path) -> Mapping[str, Any]:
    """Read a JSON object; nothing for a file that is not there, or that a power cut left half written."""
    try:
        body = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return body if isinstance(body, dict) else {}
