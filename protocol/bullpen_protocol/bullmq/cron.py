"""When a cron pattern fires next, as cron-parser (Node) says. The only module that knows croniter."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from croniter import croniter

_DEFAULTS: Final = ("0", "*", "*", "*", "*", "*")
"""Second, minute, hour, day, month, weekday: for the fields that a short pattern leaves out on the left."""
_SHORTHANDS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@hourly": "0 * * * *",
    "@minutely": "* * * * *",
    "@secondly": "* * * * * *",
    "@weekdays": "0 0 * * 1-5",
    "@weekends": "0 0 * * 0,6",
}
"""Of cron-parser, which croniter does not all know."""


def next_time(pattern: str, after_ms: int, time_zone: str | None = None) -> int:
    """Give the first time after *after_ms*, in milliseconds. Without a zone the process's own counts, as in Node.

    Raises ValueError for a pattern or a zone that is none.
    """
    fields = _SHORTHANDS.get(pattern.strip(), pattern).split()
    if not fields:
        raise ValueError("neither a pattern nor a time in `every`")
    whole = " ".join((*_DEFAULTS[: len(_DEFAULTS) - len(fields)], *fields))
    try:
        zone = ZoneInfo(time_zone) if time_zone else None
        rule = croniter(whole, _at(after_ms, zone), second_at_beginning=True)
        found: datetime = rule.get_next(datetime)
    except (ValueError, KeyError, OSError) as error:
        # croniter's errors are ValueErrors, zoneinfo's KeyErrors or, for names like "..", ValueErrors and OSErrors
        raise ValueError(f"pattern {pattern[:80]!r} in zone {str(time_zone)[:40]!r}: {error}") from error
    return int(found.timestamp() * 1000)


def _at(millis: int, zone: ZoneInfo | None) -> datetime:
    return datetime.fromtimestamp(millis / 1000, tz=zone)  # without one: naive, in the process's own zone
