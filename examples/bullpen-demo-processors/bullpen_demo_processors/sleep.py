"""`demo-sleep`: a job that takes its time."""

from __future__ import annotations

import time
from typing import Final

from bullpen_processors.api import Context, Json, Result, UnusableInputError

REPORTS: Final = 10


class DemoSleep:
    """Sleeps and reports progress, to show bars, time limits and drains."""

    def process(self, payload: Json, context: Context) -> Result:
        """Sleep for `seconds` (default 60, at most a day)."""
        seconds = payload.get("seconds", 60) if isinstance(payload, dict) else None
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= 86_400:
            raise UnusableInputError("Invalid payload: expected seconds to be a number from 0 to 86400")
        for part in range(REPORTS):
            context.report.progress(100 * part // REPORTS)
            time.sleep(seconds / REPORTS)
        context.report.progress(100)
        return Result(value={"seconds": seconds})
