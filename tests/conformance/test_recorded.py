"""`make conformance`: every recorded job of the original, run for real, comes to the same but for what is meant."""

from __future__ import annotations

import os
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

import pytest

from conformance.cases import RECORDED, recorded
from conformance.judging import Report, judge
from conformance.running import PRODUCER, run
from servers.node import NodeClient
from support import MISSING, require

WANTED: Final = os.environ.get("CASES", "*")
"""Which to run: a pattern of their names, `make conformance CASES='sparql-update/*'`."""


@pytest.mark.conformance
@pytest.mark.timeout(1800)
def test_every_recorded_job_comes_to_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not RECORDED.is_dir():
        # not failed under CI: it is data of the project's first user, which not every clone has beside it
        pytest.skip(f"{MISSING}the original's recorded jobs (../shared/oracle)")
    require("redis-server")
    cases = {name: case for name, case in recorded(RECORDED) if fnmatch(name, WANTED)}
    node = NodeClient(PRODUCER)
    try:
        ours = run(cases, tmp_path, node, concurrency=2 * (os.cpu_count() or 1))
    finally:
        node.close()
    report = Report([judge(name, case, ours[name]) for name, case in cases.items()])
    with capsys.disabled():
        print("", *report.lines(), sep="\n")
    assert [verdict.name for verdict in report.left] == []
    assert len(cases) >= 200 or WANTED != "*"
