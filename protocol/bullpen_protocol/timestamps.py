"""Times as logs show them."""

from __future__ import annotations

import time


def timestamp(seconds: float) -> str:
    """Render seconds since 1970 as ISO 8601 in UTC with milliseconds."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"
