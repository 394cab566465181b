"""The files that a plain job shares with us. Whoever runs in its container writes here what he likes.

Nothing is followed, waited for or read beyond its limit: a link to our own environment would hand out Redis' URL.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

from bullpen_protocol import plain

_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

Stamp = tuple[int, int, int]
"""Tells whether a file was changed: inode, time, size."""


class UnreadableError(Exception):
    """A file is there and can't be taken; one sentence, without any of it."""


class Files:
    """One folder, shared by the containers of one pod."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def lay_out(self, payload: bytes) -> None:
        """Write the payload, and empty files that any user may write progress and result into."""
        for name in (plain.PROGRESS, plain.RESULT):
            self._write(name, b"", 0o666)
        self._write(plain.PAYLOAD, payload, 0o444)

    def stamp(self, name: str) -> Stamp | None:
        """Tell one state of a file from another, without reading it; None: there is none."""
        try:
            found = os.lstat(self._folder / name)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def read(self, name: str, limit: int) -> bytes:
        """Read a plain file of at most *limit* bytes; none is empty. Raises UnreadableError."""
        try:
            handle = os.open(self._folder / name, _OPEN)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise UnreadableError(f"the {name} file can't be read: {_said(error)}") from error
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise UnreadableError(f"the {name} is no plain file")
            content = _up_to(limit + 1, handle)
        finally:
            os.close(handle)
        if len(content) > limit:
            raise UnreadableError(f"the {name} is larger than {limit:,} bytes")
        return content

    def _write(self, name: str, content: bytes, mode: int) -> None:
        """Replace a file: an init container may run twice."""
        path = self._folder / name
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        path.chmod(mode)


def _up_to(count: int, handle: int) -> bytes:
    chunks: list[bytes] = []
    while count > 0 and (chunk := os.read(handle, min(count, 1 << 20))):
        chunks.append(chunk)
        count -= len(chunk)
    return b"".join(chunks)


def _said(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "it is a symbolic link"
    if error.errno == errno.EACCES:
        return "Bullpen is another user than the job; let everybody read it (umask 022)"
    return error.strerror or type(error).__name__
