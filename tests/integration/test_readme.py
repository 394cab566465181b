"""What the README shows works as it is printed, on another port."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest

from bullpen_protocol.bullmq import SyncQueue, connect
from servers.local import BullpenLocal
from servers.node import installed
from support import ROOT, require

README = (ROOT / "README.md").read_text()
PATIENCE_S = 60.0


@pytest.mark.parametrize("version", ["6"])
def test_the_producers_job_is_done_by_the_manifest_that_is_named(tmp_path: Path, version: str) -> None:
    command = re.search(r"bullpen local -f (\S+) --redis-port (\d+)", README)
    script = re.search(r"```js\n(.*?)```", README, re.DOTALL)
    assert command
    assert script
    operator = BullpenLocal(tmp_path, (ROOT / command[1]).read_text())
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "bullmq").symlink_to(installed() / "node_modules" / f"bullmq-{version}")
    (tmp_path / "producer.mjs").write_text(script[1].replace(command[2], str(operator.port)))
    try:
        operator.start()
        operator.client().close()
        subprocess.run([require("node"), "producer.mjs"], cwd=tmp_path, check=True, timeout=PATIENCE_S)
        with connect(operator.url) as client:
            queue = SyncQueue(client, queue="http-requests")
            until = time.monotonic() + PATIENCE_S
            while queue.state("1") != "completed" and time.monotonic() < until:
                time.sleep(0.05)
            assert queue.state("1") == "completed"
        assert operator.interrupt() == 0
    finally:
        operator.close()
