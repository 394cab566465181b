"""What each half of a runner imports is time that every job waits."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEFORE_THE_FORK = "import bullpen_runner.__main__"
SUPERVISOR = (
    f"{BEFORE_THE_FORK}; import bullpen_runner.supervisor; from bullpen_protocol.bullmq import SyncQueue, connect"
)
CHILD = f"{BEFORE_THE_FORK}; import bullpen_runner.child; from bullpen_processors import registry"


@pytest.mark.parametrize(
    ("imports", "absent"),
    [
        pytest.param(BEFORE_THE_FORK, {"redis", "structlog", "pyoxigraph", "asyncio", "logging"}, id="before-the-fork"),
        pytest.param(SUPERVISOR, {"pydantic", "structlog", "pyoxigraph", "croniter", "http.client"}, id="supervisor"),
        pytest.param(CHILD, {"redis", "pydantic", "structlog", "importlib.metadata", "msgpack"}, id="child"),
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(imports: str, absent: set[str]) -> None:
    code = f"import sys; {imports}; sys.stdout.write(' '.join(sys.modules))"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert absent & set(imported) == set()
