"""What the API server says when it does not do what it was asked."""

from __future__ import annotations

import json
from typing import Final

import aiohttp

MESSAGE_LIMIT: Final = 1024
"""Characters of an answer that an error keeps: bodies may hold what users wrote, and the cause comes last."""


class KubeError(Exception):
    """The API server refused, or could not be asked."""


class KubeRefusedError(KubeError):
    """An answer other than 2xx. `status` is HTTP's, `reason` and the message are the API server's."""

    def __init__(self, status: int, reason: str, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message[:MESSAGE_LIMIT])
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s

    @property
    def passing(self) -> bool:
        """The same request may well be answered later: throttled, overloaded, or the server's own trouble."""
        return self.status in (408, 429) or self.status >= 500


class KubeAwayError(KubeError):
    """No answer: not reachable, timed out, cut off. What was asked may have been done."""


async def refusal_from(response: aiohttp.ClientResponse) -> KubeRefusedError:
    """Read a refusal: the Status that the API server sends, or whatever came instead of one."""
    try:
        text = (await response.read()).decode("utf-8", "replace")
    except (aiohttp.ClientError, TimeoutError):
        text = ""
    try:
        status = json.loads(text)
        reason, message = str(status["reason"]), str(status["message"])
    except (ValueError, KeyError, TypeError):
        reason, message = str(response.reason), text or f"HTTP {response.status}"
    return KubeRefusedError(response.status, reason, message, _seconds(response.headers.get("Retry-After")))


def _seconds(text: str | None) -> float | None:
    # An HTTP date is allowed too; the API server sends seconds.
    return float(text) if text is not None and text.isdigit() else None
