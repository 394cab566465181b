"""A graph store that goes away in the middle of a run costs time, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.outage import outage
from support import require


@pytest.mark.timeout(400)
def test_a_store_outage_loses_no_job_no_attempt_and_no_record(tmp_path: Path) -> None:
    require("redis-server")
    counted = outage(tmp_path, jobs=20, seconds=16.0, concurrency=4)
    assert list(counted.complaints()) == [], str(counted)
