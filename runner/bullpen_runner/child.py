"""The child: imports the processor, runs it once, and tells the supervisor what came of it.

It has no Redis, no credentials in its environment and no say in how the attempt ends; it can be killed at any time.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, NoReturn

from bullpen_processors.api import Context, Json, Processor, Result, SettingsError, StoreAnswer, UnusableInputError
from bullpen_runner import frames
from bullpen_runner.failure import bounded, reason_of, stack_of
from bullpen_runner.frames import Decoder, Frame, FrameError, Kind
from bullpen_runner.log import Level
from bullpen_runner.outside import RunnerWeb, WireCommons
from bullpen_runner.usage import of_this_process
from bullpen_runner.values import (
    PayloadError,
    ValueNotJsonError,
    dump_value,
    holds_half_a_pair,
    parse_payload,
    progress_text,
)

LINE_LIMIT: Final = 4_096
"""Characters of a line of the job's log."""
PROGRESS_LIMIT: Final = 16_384
"""Characters of a progress: it goes into every dashboard's list."""

HALF_A_PAIR: Final = "the payload holds half a surrogate pair, which is no Unicode text: no store will take it as it is"

_PR_SET_PDEATHSIG: Final = 1
_CHUNK: Final = 1024 * 1024


def run(channel: socket.socket, supervisor: int, name: str, settings: Mapping[str, Any], level: Level) -> NoReturn:
    """Be the child; never returns."""
    _become_mortal(supervisor)
    _tidy()
    wire = Wire(channel)
    try:
        Work(wire, name, settings).run(level)
    except MemoryError:
        wire.send(Kind.FAILURE, b'{"kind": "memory", "reason": "the processor ran out of memory", "stack": ""}')
    except (EOFError, ConnectionError):
        pass  # the supervisor has gone
    finally:
        for stream in (sys.stdout, sys.stderr):
            _flush(stream)
        os._exit(0)


def _become_mortal(supervisor: int) -> None:
    """Lead a session of its own, die with the supervisor, and be the one that the kernel kills for memory."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - 5 ms, while the supervisor imports redis

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        with suppress(OSError):
            os.write(os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC), b"1000")
    if os.getppid() != supervisor:
        os._exit(1)


def _tidy() -> None:
    """Leave a processor an environment without our variables, and an output that comes out line by line."""
    import faulthandler  # noqa: PLC0415 - only here

    for variable in [name for name in os.environ if name.startswith("BULLPEN_")]:
        del os.environ[variable]
    # new ones: those that were inherited may believe that they are files
    sys.stdout, sys.stderr = (
        os.fdopen(handle, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False) for handle in (1, 2)
    )
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    faulthandler.enable()  # a crash in C says where


def _flush(stream: Any) -> None:
    with suppress(OSError, ValueError):
        stream.flush()


class Wire:
    """The child's end of the channel; threads of a processor may use it, processes that it forks may not."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._decoder = Decoder()
        self._frames: list[Frame] = []

    def send(self, kind: Kind, body: bytes) -> None:
        """Send one frame; nothing when a fork of this process calls."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._channel.sendall(frames.header(kind, body))
            self._channel.sendall(body)

    def receive(self, kind: Kind) -> Frame:
        """Wait for the next frame, which has to be of *kind*. Raises EOFError when the supervisor has gone."""
        while not self._frames:
            data = self._channel.recv(_CHUNK)
            if not data:
                raise EOFError
            self._frames += self._decoder.feed(data)
        frame = self._frames.pop(0)
        if frame.kind is not kind:
            raise FrameError(f"expected {kind.name}, got {frame.kind.name}")
        return frame


class WireReport:
    """`Report` over the wire: best effort, never raises."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def progress(self, value: float | Mapping[str, Json]) -> None:
        """Set the job's progress; what is neither a finite number nor a small object is left out."""
        text = progress_text(dict(value) if isinstance(value, Mapping) else value)
        if text is not None and len(text) <= PROGRESS_LIMIT:
            self._send(Kind.PROGRESS, text)

    def log(self, line: str) -> None:
        """Append a line to the job's log."""
        self._send(Kind.LINE, bounded(str(line), LINE_LIMIT))

    def _send(self, kind: Kind, text: str) -> None:
        with suppress(OSError):  # the supervisor has gone, and this process with it
            self._wire.send(kind, text.encode())


class Work:
    """One job, from the import of its processor to the last frame about it."""

    def __init__(self, wire: Wire, name: str, settings: Mapping[str, Any]) -> None:
        self._wire = wire
        self._name = name
        self._settings = settings

    def run(self, level: Level) -> None:
        """Import, wait for the payload, process, and make the value."""
        processor = self._load()
        if processor is None:
            return
        _catch_logging(self._wire, level)
        self._wire.send(Kind.READY, b"")
        job_name = self._wire.receive(Kind.JOB).json()["name"]
        body = self._wire.receive(Kind.PAYLOAD).body
        try:
            report = WireReport(self._wire)
            payload = parse_payload(body)
            if holds_half_a_pair(body, payload):
                report.log(HALF_A_PAIR)
            del body
            web, commons = RunnerWeb(), WireCommons(self._ask)
            result = processor.process(payload, Context(job_name, report, self._settings, web, commons))
            del payload
            self._deliver(result)
        except MemoryError:
            raise
        except (UnusableInputError, PayloadError) as error:
            self._fail("unusable", error)
        except SettingsError as error:
            self._wire.send(Kind.MISCONFIGURED, frames.encode_json({"reason": reason_of(error)}))
        except SystemExit as error:
            self._fail("error", RuntimeError(f"the processor called sys.exit({error.code!r})"))
        except Exception as error:  # noqa: BLE001 - a processor may raise what it likes
            self._fail("error", error)

    def _ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Ask the supervisor, which holds Redis; one question at a time."""
        self._wire.send(Kind.ASK, frames.encode_json(asked))
        told: dict[str, Any] = self._wire.receive(Kind.TOLD).json()
        return told

    def _load(self) -> Processor | None:
        try:
            from bullpen_processors import registry  # noqa: PLC0415 - in the child only

            return registry.load(self._name)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - code of others runs when it is imported
            self._wire.send(Kind.MISCONFIGURED, frames.encode_json({"reason": reason_of(error)}))
            print(stack_of(error), file=sys.stderr)  # noqa: T201 - becomes a log line
            return None

    def _deliver(self, result: object) -> None:
        """Send the write, then the value, or make the value of the store's answer."""
        if not isinstance(result, Result):
            raise TypeError(f"the processor returned {type(result).__name__}, not a Result")
        value = None if result.finish else dump_value(result.value)
        if result.write is not None:
            from bullpen_runner.graph_update import prepare  # noqa: PLC0415 - many jobs write nothing

            self._wire.send(Kind.WRITE, prepare(result.write).to_bytes())
        self._send(Kind.RESULT, {"value": value})
        if result.finish is not None:
            status = self._wire.receive(Kind.ANSWER).json()["status"]
            value = dump_value(result.finish(StoreAnswer(status)))
            self._send(Kind.RESULT, {"value": value})

    def _fail(self, kind: str, error: BaseException) -> None:
        if isinstance(error, PayloadError | ValueNotJsonError):
            body = {"kind": kind, "reason": reason_of(error), "stack": ""}
        else:
            body = {"kind": kind, "reason": reason_of(error), "stack": stack_of(error)}
        self._send(Kind.FAILURE, body)

    def _send(self, kind: Kind, body: dict[str, Any]) -> None:
        """Send a last word, with what this process used."""
        self._wire.send(kind, frames.encode_json({**body, "used": of_this_process().to_json()}))


def _catch_logging(wire: Wire, level: Level) -> None:
    """Send what libraries log through Python's logging as records, so that level and name survive."""
    import logging  # noqa: PLC0415 - in the child only, while the supervisor imports redis

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            try:
                body = {
                    "level": record.levelno,
                    "ns": record.name[:200],
                    "msg": bounded(record.getMessage(), LINE_LIMIT),
                }
                wire.send(Kind.RECORD, frames.encode_json(body))
            except Exception:  # noqa: BLE001 - a library's broken format string must not fail the job
                self.handleError(record)

    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(Handler())
        root.setLevel(level)
