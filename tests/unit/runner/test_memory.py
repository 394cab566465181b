"""The kernel's counters of kills for memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from bullpen_runner.memory import OomKills, parse_counter

V1 = "12:pids:/docker/abc\n4:memory:/docker/abc\n0::/docker/abc\n"


@pytest.mark.parametrize(
    ("lines", "file"),
    [
        pytest.param("0::/\n", "memory.events", id="v2-in-its-own-namespace"),
        pytest.param("0::/kubepods/pod1\n", "kubepods/pod1/memory.events", id="v2-path-of-the-host"),
        pytest.param("0::/kubepods/pod1\n", "memory.events", id="v2-mount-of-the-container"),
        pytest.param(V1, "memory/docker/abc/memory.oom_control", id="v1-path-of-the-host"),
        pytest.param(V1, "memory/memory.oom_control", id="v1-mount-of-the-container"),
    ],
)
def test_a_kill_is_seen(tmp_path: Path, lines: str, file: str) -> None:
    cgroup = tmp_path / "cgroup"
    cgroup.write_text(lines)
    counter = tmp_path / "mount" / file
    counter.parent.mkdir(parents=True)
    counter.write_text("low 0\noom 3\noom_kill 2\n")
    kills = OomKills(cgroup, tmp_path / "mount")
    assert kills.seen() is False
    counter.write_text("low 0\noom 4\noom_kill 3\n")
    assert kills.seen() is True


def test_without_a_counter_nothing_is_claimed(tmp_path: Path) -> None:
    assert OomKills(tmp_path / "none", tmp_path).seen() is None


def test_kernels_before_4_13_do_not_count() -> None:
    assert parse_counter("oom_kill_disable 0\nunder_oom 0\n") is None
