"""Whatever is killed, every job ends in exactly one event, never runs twice at once, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.soak import Soaked, soak
from support import require


def check(counted: Soaked) -> None:
    assert counted.broken == []
    assert counted.finished == counted.added
    assert counted.overlaps == 0
    assert counted.keys_left == []
    assert counted.recorded >= counted.started
    assert counted.attempts_left == 0
    assert counted.exit_code == 0
    assert counted.kills.total() > 0


@pytest.mark.timeout(560)
def test_500_jobs_survive_kills_of_operator_shims_and_runners(tmp_path: Path) -> None:
    require("redis-server")
    check(soak(tmp_path, 500, concurrency=6, every_s=(2.0, 4.0), patience_s=500))


@pytest.mark.soak
@pytest.mark.timeout(3 * 3600)
def test_10_000_jobs_survive_kills_of_operator_shims_and_runners(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require("redis-server")
    counted = soak(tmp_path, 10_000, concurrency=8, every_s=(2.0, 6.0), patience_s=3 * 3500)
    with capsys.disabled():
        print(f"\n{counted}")
    check(counted)
