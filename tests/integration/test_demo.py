"""`make demo` as it is: without Node, Java, Docker or a Redis of the machine, and without a trace."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

from support import ROOT, require


def test_the_demo_comes_out_as_it_says_and_leaves_nothing_behind(tmp_path: Path) -> None:
    require("redis-server 6.2")
    environment = {
        "PATH": "",
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
    }
    command = [sys.executable, str(ROOT / "scripts" / "demo.py")]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "All 8 jobs came out as they should" in done.stdout
    assert done.stderr == ""
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert list(tmp_path.iterdir()) == []
    assert [process for process in psutil.process_iter() if str(tmp_path) in " ".join(_command_line(process))] == []


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
