"""The runner's log: one JSON object a line, or a line for people on a terminal. Never payloads, never credentials.

Where LOGS_WS_URL names a log server, it gets each line that is printed.
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from enum import IntEnum
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Final, cast

from bullpen_protocol.assignment import Assignment
from bullpen_protocol.timestamps import timestamp

if TYPE_CHECKING:
    import structlog

    from bullpen_protocol.forwarding.forwarder import Forwarder

LINE_LIMIT: Final = 8_192
"""Characters of a message; a longer one is cut."""

ID_LIMIT: Final = 256
"""Characters of a queue's name and a job's id: producers choose them."""


class Level(IntEnum):
    """How loud a line is; the numbers are those of Python's logging."""

    DEBUG = 10
    INFO = 20
    WARN = 30
    ERROR = 40

    @classmethod
    def of(cls, name: str) -> Level:
        """Read a level's name as LOG_LEVEL and libraries write it; what is unknown is INFO."""
        return _NAMES.get(name.strip().lower(), cls.INFO)

    @classmethod
    def at(cls, number: int) -> Level:
        """Return the level of one of logging's numbers, which may lie between ours."""
        return max((level for level in cls if level <= number), default=cls.DEBUG)


_ENTRY: Final = frozenset({"ts", "level", "ns", "msg"})
_NAMES: Final = {
    "debug": Level.DEBUG,
    "info": Level.INFO,
    "warn": Level.WARN,
    "warning": Level.WARN,
    "error": Level.ERROR,
    "critical": Level.ERROR,
    "fatal": Level.ERROR,
}


class Log:
    """Writes lines that all carry queue, job id and attempt. A reader that went away is no reason to fail."""

    def __init__(self, assignment: Assignment, environment: Mapping[str, str], file: IO[str] = sys.stdout) -> None:
        self.level = Level.of(environment.get("LOG_LEVEL", ""))
        form = environment.get("LOG_FORMAT", "").strip().lower()
        self._pretty = form == "pretty" or (form != "json" and file.isatty())
        self._file = file
        self._environment = environment
        self._forwarder: Forwarder | None = None
        self._context = {
            "queue": assignment.queue[:ID_LIMIT],
            "job_id": assignment.job_id[:ID_LIMIT],
            "attempt": assignment.attempt,
        }
        self._logger: structlog.typing.FilteringBoundLogger | None = None

    def debug(self, msg: str, **more: Any) -> None:
        """Detail for whoever looks for a fault."""
        self.line(Level.DEBUG, "runner", msg, **more)

    def info(self, msg: str, **more: Any) -> None:
        """One line per transition of the attempt."""
        self.line(Level.INFO, "runner", msg, **more)

    def warn(self, msg: str, **more: Any) -> None:
        """Somebody may care."""
        self.line(Level.WARN, "runner", msg, **more)

    def error(self, msg: str, **more: Any) -> None:
        """Somebody must care."""
        self.line(Level.ERROR, "runner", msg, **more)

    def line(self, level: Level, ns: str, msg: str, **more: Any) -> None:
        """Write one line of namespace *ns*, if *level* is asked for."""
        if level < self.level:
            return
        text = msg if len(msg) <= LINE_LIMIT else msg[: LINE_LIMIT - 1] + "…"
        self._bound().log(level, text, ns=ns, **more)

    def close(self) -> None:
        """Let go what is on its way to a log server; about a second at most."""
        if self._forwarder is not None:
            self._forwarder.close()

    def _bound(self) -> structlog.typing.FilteringBoundLogger:
        """Import structlog with the first line: by then the child is at work, and it costs the job nothing."""
        if self._logger is None:
            import structlog  # noqa: PLC0415 - see above

            render = _pretty if self._pretty else structlog.processors.JSONRenderer(ensure_ascii=False)
            self._logger = structlog.wrap_logger(
                structlog.BytesLogger(cast(BinaryIO, _Quiet(self._file))),
                processors=[_arrange, self._forward, render, _encode],
                wrapper_class=structlog.make_filtering_bound_logger(self.level),
            ).bind(**self._context)
            self._forwarder = self._make_forwarder()
        return self._logger

    def _make_forwarder(self) -> Forwarder | None:
        if not self._environment.get("LOGS_WS_URL"):
            return None
        from bullpen_protocol.forwarding.entries import ForwardingError, Target  # noqa: PLC0415 - only where asked for
        from bullpen_protocol.forwarding.forwarder import Forwarder  # noqa: PLC0415 - only where asked for

        try:
            target = Target.from_environment(self._environment)
        except ForwardingError as error:
            self._tell("warn", f"nothing is forwarded: {error}")
            return None
        return None if target is None else Forwarder(target, self._environment, self._tell)

    def _tell(self, level: str, sentence: str) -> None:
        self.line(Level.of(level), "logs-forwarder", sentence)

    def _forward(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Hand on what is about to be printed."""
        if self._forwarder is not None:
            more = {key: value for key, value in event.items() if key not in _ENTRY}
            msg = [event["msg"], more]
            self._forwarder.put({"ts": event["ts"], "level": event["level"], "ns": event["ns"], "msg": msg})
        return event


def _arrange(_logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Bring the keys into the order in which people look for them; a key without a value is left out."""
    level = "warn" if method == "warning" else method
    first = {"ts": timestamp(time.time()), "level": level, "ns": event.pop("ns"), "msg": event.pop("event")}
    return first | {key: value for key, value in event.items() if value is not None}


def _pretty(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    """`[ts] LEVEL ns — msg  key=value`; escaped, since a terminal obeys what it is sent."""
    msg = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(event["msg"]))
    skipped = {"ts", "level", "ns", "msg", "queue", "job_id", "attempt"}
    more = "".join(f"  {key}={value!r}" for key, value in event.items() if key not in skipped)
    job = f"{event['queue']}/{event['job_id']}#{event['attempt']}"
    return f"[{event['ts']}] {event['level'].upper():5} {event['ns']} — {msg}  ({ascii(job)[1:-1]}){more}"


def _encode(_logger: object, _method: str, line: Any) -> bytes:
    # half a surrogate pair comes out as \udc80, which JSON reads as what it was
    return str(line).encode("utf-8", "backslashreplace")


class _Quiet(io.RawIOBase):
    """A file whose reader may have gone."""

    def __init__(self, file: IO[str]) -> None:
        self._handle = file.fileno()

    def write(self, data: Any) -> int:
        """Write all of *data*, or give up."""
        left = memoryview(data)
        with suppress(OSError):
            while left:
                left = left[os.write(self._handle, left) :]
        return len(data)
