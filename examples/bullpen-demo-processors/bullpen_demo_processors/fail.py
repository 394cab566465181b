"""`demo-fail`: a job that fails."""

from __future__ import annotations

from bullpen_processors.api import Context, Json, Result, UnusableInputError


class DemoFail:
    """Raises, to show which errors are retried."""

    def process(self, payload: Json, context: Context) -> Result:
        """Raise with `message`; with `unrecoverable`, in the way that spends all attempts at once."""
        fields = payload if isinstance(payload, dict) else {}
        message = str(fields.get("message") or "this job was asked to fail")
        context.report.log(f"about to fail: {message}")
        if fields.get("unrecoverable"):
            raise UnusableInputError(message)
        raise RuntimeError(message)
