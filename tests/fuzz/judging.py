"""What has to hold for any input of sast-analyze, in a process that may crash or never end."""

from __future__ import annotations

import json
import resource
import select
import subprocess
import sys
import time
from typing import Any, Final

import pyoxigraph as ox

from bullpen_processors.api import Quads
from bullpen_processors.sast.analyzer import SastAnalyze
from bullpen_processors.sast.models import Models, built_in
from bullpen_processors.sast.ruleset import RuleError, check
from fakes.processing import Remembering, process
from fuzz.inputs import Input

MEMORY: Final = 2 << 30
PATIENCE_S: Final = 120.0
CPU_S: Final = 4.0
"""For any input; and for each megabyte as much again:"""
CPU_S_PER_MB: Final = 15.0


def judge(given: Input) -> str:
    """Say what is wrong with how *given* is taken; "" when nothing is. Exceptions are for the caller."""
    began = time.process_time()
    size = len(json.dumps(given)) / 1e6
    wrong = _rules(given["rules"]) if "rules" in given else _page(given["page"])
    took = time.process_time() - began
    if not wrong and took > CPU_S + CPU_S_PER_MB * size:
        wrong = f"took {took:.1f} s of CPU for {size:.3f} MB"
    return wrong


def _rules(text: str) -> str:
    try:
        family = check("own.yaml", text)
    except RuleError as error:
        refused = str(error)
        return "" if refused.startswith("own.yaml:") and len(refused) <= 500 else f"refused with {refused[:200]!r}"
    Models.from_json([*built_in(), family])
    return ""


def _page(payload: Any) -> str:
    processed = process(SastAnalyze(), payload, {"explain": True})
    result = processed.value()["result"]
    json.dumps(result)
    ids = [finding["findingId"] for finding in result["findings"]]
    if len(ids) != len(set(ids)) or len(ids) != result["totalFindings"]:
        return "findings share an id"
    if set(ids) & {seen["findingId"] for seen in result["explained"]}:
        return "something was found and explained away"
    assert isinstance(processed.result.write, Quads)
    ox.serialize(processed.result.write.quads, format=ox.RdfFormat.N_QUADS)
    return "" if isinstance(processed.report, Remembering) else "no report"


class Judge:
    """A process that judges, and a new one after each that died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __call__(self, given: Input) -> str:
        """Say what is wrong with how *given* is taken; "" when nothing is."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(given) + "\n")
            process.stdin.flush()
        except OSError:
            return self._dead()
        if not select.select([process.stdout], [], [], PATIENCE_S)[0]:
            process.kill()
            self._dead()
            return f"no answer within {PATIENCE_S:g} s"
        line = process.stdout.readline()
        return str(json.loads(line)) if line else self._dead()

    def _start(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fuzz.judging"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self._process

    def _dead(self) -> str:
        assert self._process is not None
        code = self._process.wait()
        self.close()
        return f"the process ended with {code}"

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.communicate()
            self._process = None


def _answer() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for line in sys.stdin:
        try:
            wrong = judge(json.loads(line))
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            import traceback  # noqa: PLC0415

            last = traceback.extract_tb(error.__traceback__)[-1]
            wrong = f"{type(error).__name__}: {str(error)[:200]} ({last.filename.rpartition('/')[2]}:{last.lineno})"
        sys.stdout.write(json.dumps(wrong) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _answer()
