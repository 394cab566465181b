"""Times, sizes and tables for people at a terminal. Whatever comes from outside is made fit for it here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from rich.cells import cell_len, set_cell_size

from bullpen_operator.escaping import safe

CELL_LIMIT: Final = 60
"""Characters of a cell; only the last one of a row may be longer."""
LAST_LIMIT: Final = 300
VALUE_LIMIT: Final = 1000
"""Characters of a value that has a line of its own: a command to be copied must be whole."""
_GAP: Final = "  "
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def span(ms: float) -> str:
    """Render a length of time in its one fitting unit: `3 h`, `12 s`, `250 ms`."""
    seconds = max(0.0, ms) / 1000
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds / size)} {unit}"
    return f"{int(max(0.0, ms))} ms"


def moment(ms: int | None) -> str:
    """Render a time of a server, in this machine's zone; `-`: never."""
    if not ms:
        return "-"
    try:
        return f"{datetime.fromtimestamp(ms / 1000, UTC).astimezone():%Y-%m-%d %H:%M:%S %Z}"
    except (ValueError, OverflowError, OSError):
        return f"{ms} ms"


def count(number: int, one: str, many: str = "") -> str:
    """Render `1 job`, `2 jobs`, `1,234 jobs`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], width: int | None = None) -> str:
    """Align columns; the last one is cut to *width*, by default the terminal's, elsewhere to LAST_LIMIT characters."""
    cells = [list(head), *([*(safe(cell, CELL_LIMIT) for cell in row[:-1]), safe(row[-1], LAST_LIMIT)] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    lines = (_GAP.join(map(set_cell_size, row[:-1], widths)) + _GAP + row[-1] for row in cells)
    most = _terminal_width() if width is None else width
    return "\n".join((_cut(line, most) if most else line).rstrip() for line in lines)


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Align names and values, one a line."""
    shown = [(name, safe(value, VALUE_LIMIT)) for name, value in rows if value]
    size = max((len(name) for name, _ in shown), default=0)
    return "\n".join(f"{name:<{size}}  {value}" for name, value in shown)


def _cut(line: str, width: int) -> str:
    return line if cell_len(line) <= width else set_cell_size(line, width - 1).rstrip() + "…"


def _terminal_width() -> int:
    return os.get_terminal_size().columns if sys.stdout.isatty() else 0
