"""One sast-analyze job from process start to exit: payload on standard input, findings or nothing on standard output.

    sast_job.py [--findings]

What a job's child does: parse the payload, analyse, make the value and the write.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from bullpen_processors.api import Context, StoreAnswer
from bullpen_processors.sast.analyzer import SastAnalyze
from bullpen_runner.graph_update import prepare


class Silent:
    """A `Report` that nobody reads."""

    def progress(self, value: float | Mapping[str, Any]) -> None:
        """Do nothing."""

    def log(self, line: str) -> None:
        """Do nothing."""


def main() -> None:
    """Run it."""
    result = SastAnalyze().process(json.load(sys.stdin), Context("sast-analyze", Silent()))
    if result.write is not None:
        prepare(result.write).to_bytes()
    value = result.finish(StoreAnswer(204)) if result.finish else result.value
    text = json.dumps(value)
    if "--findings" in sys.argv:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
