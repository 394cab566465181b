"""An exception of a processor as people read it: one bounded sentence and a stack without values. Pure."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from types import TracebackType
from typing import Final

from bullpen_protocol.assignment import REASON_LIMIT

STACK_FRAMES: Final = 40
"""Frames kept of each exception: the innermost, where it happened."""
STACK_CHARACTERS: Final = 8_000
CAUSES: Final = 5
_OURS: Final = __file__.rpartition("/")[0] + "/"


def sentence(text: str, limit: int = REASON_LIMIT) -> str:
    """Return *text* on one line, printable and bounded: it comes from a processor or a server."""
    line = " ".join(text[: 4 * limit].split())
    return bounded("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line), limit)


def bounded(text: str, limit: int) -> str:
    """Return *text* as text that can be encoded, cut at *limit* characters."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def reason_of(error: BaseException) -> str:
    """Say why in one sentence: an author's own words as they are, Python's with the name of the exception."""
    text = _text(error)
    name = type(error).__name__
    if not text:
        return name
    if type(error) is Exception or type(error).__module__ != builtins.__name__:
        return sentence(text)
    return sentence(f"{name}: {text}")


def _text(error: BaseException) -> str:
    try:
        return str(error).strip()
    except Exception:  # noqa: BLE001 - a processor's exception may break while it is rendered
        return ""


def stack_of(error: BaseException, limit: int = STACK_CHARACTERS, *, ours: bool = False) -> str:
    """Render where it happened: types, functions, files and lines; no values, and no messages of causes.

    Frames of the runner are left out unless *ours*.
    """
    lines = [_headline(error), *_frames(error.__traceback__, ours)]
    for cause in _causes(error):
        lines += [f"caused by {type(cause).__name__}", *_frames(cause.__traceback__, ours)]
    return bounded("\n".join(lines), limit)


def _headline(error: BaseException) -> str:
    """Name the exception, once: the reason of one of Python's own begins with its name already."""
    name, reason = type(error).__name__, reason_of(error)
    return reason if reason.partition(":")[0] == name else f"{name}: {reason}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    for _ in range(CAUSES):
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None:
            return
        yield cause
        error = cause


def _frames(traceback: TracebackType | None, ours: bool) -> list[str]:
    frames: list[str] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if ours or not code.co_filename.startswith(_OURS):
            frames.append(f"    at {code.co_qualname} ({code.co_filename}:{traceback.tb_lineno})")
        traceback = traceback.tb_next
    if len(frames) > STACK_FRAMES:
        left_out = len(frames) - STACK_FRAMES
        frames = [f"    … {left_out} outer frames", *frames[-STACK_FRAMES:]]
    return frames
