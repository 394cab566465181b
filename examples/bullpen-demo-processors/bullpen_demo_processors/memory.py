"""`demo-oom`: a job that takes all memory."""

from __future__ import annotations

from typing import Final

from bullpen_processors.api import Context, Json, Result, UnusableInputError

STEP_MEBIBYTES: Final = 16
MEBIBYTE: Final = 2**20


class DemoOom:
    """Takes memory step by step, to show what becomes of a job over its memory limit."""

    def process(self, payload: Json, context: Context) -> Result:
        """Take `mebibytes` (default 4,096) and give them back."""
        wanted = payload.get("mebibytes", 4096) if isinstance(payload, dict) else None
        if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 1:
            raise UnusableInputError("Invalid payload: expected mebibytes to be a whole number above 0")
        taken: list[bytearray] = []
        for reached in range(0, wanted, STEP_MEBIBYTES):
            context.report.log(f"{reached} of {wanted} MiB taken")
            context.report.progress(100 * reached / wanted)
            # filled, because a kernel hands out pages of zeros only when they are written to
            taken.append(bytearray(b"x") * (min(STEP_MEBIBYTES, wanted - reached) * MEBIBYTE))
        return Result(value={"mebibytes": sum(map(len, taken)) // MEBIBYTE})
