"""What an attempt used, of its own cgroup or of its own processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bullpen_runner.usage import Usage, Used, of_this_process, reported

CHILD = 4_000_001
V2 = {"memory.peak": "123000000\n", "cpu.stat": "usage_usec 2500000\nuser_usec 1\n"}
V1 = {"memory/memory.max_usage_in_bytes": "123000000\n", "cpuacct/cpuacct.usage": "2500000000\n"}


def lay(folder: Path, files: dict[str, str], processes: list[int]) -> tuple[Path, Path]:
    """Make a cgroup; returns what /proc and the mount would be."""
    for name, text in files.items():
        file = folder / "mount" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        (file.parent / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in processes))
    proc = folder / "cgroup"
    proc.write_text("0::/\n" if files is V2 else "4:memory:/\n5:cpu,cpuacct:/\n")
    return proc, folder / "mount"


@pytest.mark.parametrize("files", [V2, V1], ids=["v2", "v1"])
def test_a_cgroup_of_its_own_says_what_was_used(tmp_path: Path, files: dict[str, str]) -> None:
    usage = Usage(CHILD, *lay(tmp_path, files, [os.getpid(), CHILD]))
    assert usage.used(Used(1, 1.0)) == Used(123_000_000, 2.5)


@pytest.mark.parametrize("files", [V2, V1], ids=["v2", "v1"])
def test_a_cgroup_that_is_shared_says_nothing(tmp_path: Path, files: dict[str, str]) -> None:
    usage = Usage(CHILD, *lay(tmp_path, files, [os.getpid(), CHILD, 1]))
    used = usage.used(Used(1 << 40, 1000.0))
    assert 1 << 40 < used.memory_bytes < (1 << 40) + (8 << 30)
    assert 1000.0 < used.cpu_s < 5000.0


def test_a_counter_that_vanishes_or_is_none_is_made_up_for(tmp_path: Path) -> None:
    proc, mount = lay(tmp_path, V2, [os.getpid()])
    usage = Usage(CHILD, proc, mount)
    (mount / "memory.peak").write_text("max\n")
    (mount / "cpu.stat").unlink()
    used = usage.used(None)
    assert used.memory_bytes >= 1 << 20
    assert used.cpu_s > 0
    assert used != Used(123_000_000, 2.5)


def test_what_a_child_says_of_itself_survives_its_frame() -> None:
    used = of_this_process()
    assert reported({"used": used.to_json()}) == used
    assert reported({"reason": "x"}) is None


def test_the_memory_of_whoever_started_it_is_not_its_own() -> None:
    code = "from bullpen_runner.usage import of_this_process; print(of_this_process().memory_bytes)"
    ballast = bytearray(300 << 20)
    ballast[::4096] = b"x" * len(ballast[::4096])
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 1 << 20 < int(said) < 100 << 20
    del ballast
