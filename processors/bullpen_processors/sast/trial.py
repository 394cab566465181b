"""Scripts that would take the parser's memory: tried in a process of its own first, which may end for want of it.

Tree-sitter recovers from brackets that never close with memory that may grow with the square of their number: 16 kB
took 1.7 GB, in one step that nothing can stop. When it gets no more, it ends its process.
"""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Callable
from typing import Final

SUSPICIOUS: Final = 200
"""Brackets that have no partner, wherever they stand; large bundles have 40 of them, in texts."""
_MEMORY: Final = 100 << 20
_MEMORY_PER_BYTE: Final = 250
"""Bytes for each of a script; bundles take some 60."""
_CPU_S: Final = 5
_PAIRS: Final = ((b"(", b")"), (b"[", b"]"), (b"{", b"}"))


def readable(source: bytes, parse: Callable[[], object]) -> int:
    """Return how much of a script can be parsed: all of it, or as far as few brackets are open."""
    if not any(abs(source.count(opens) - source.count(closes)) > SUSPICIOUS for opens, closes in _PAIRS):
        return len(source)
    return len(source) if _comes_to_an_end(parse, _MEMORY + _MEMORY_PER_BYTE * len(source)) else _few_open(source)


def _comes_to_an_end(parse: Callable[[], object], memory: int) -> bool:
    """Parse where it may fail; True too where that can't be tried."""
    try:
        limit = _size() + memory
        pid = os.fork()
    except OSError:
        return True
    if pid == 0:
        code = 1
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # its last words are of no use
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            parse()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return status == 0


def _size() -> int:
    """Return the address space that this process has, in bytes."""
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - pathlib opens no faster
        return int(statm.read().split()[0]) * resource.getpagesize()


def _few_open(source: bytes) -> int:
    """Return where more brackets are open than are suspicious."""
    open_ = 0
    for match in re.finditer(rb"[()\[\]{}]", source):
        open_ += 1 if match[0] in b"([{" else -1
        if abs(open_) > SUSPICIOUS:
            return match.start()
    return len(source) // 2
