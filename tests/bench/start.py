"""`make bench-start`: how long a job waits for its processor once its pod's process exists.

Prints process start -> the processor's first line beside `python -c "import redis"` alone, in turn within one run:
this machine's speed cancels out of the ratio.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from fakes.attempts import Stage
from servers.redis import redis_server

ROUNDS: Final = int(sys.argv[1]) if len(sys.argv) > 1 else 12
TARGET: Final = 2.0
IMPORT: Final = "import redis, sys, time; sys.stdout.write(str(time.monotonic_ns()))"


def import_redis() -> float:
    """Milliseconds from the start of a Python to the end of `import redis`."""
    began = time.monotonic_ns()
    ended = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True).stdout
    return (int(ended) - began) / 1e6


def first_line(stage: Stage, stamp: Path) -> float:
    """Milliseconds from the start of a runner to the first line of its processor."""
    stage.add(["stamp", str(stamp)])
    job, token = stage.claim()
    began = time.monotonic_ns()
    runner = stage.start(job, token)
    code = runner.wait()
    assert code == 0, runner.output()
    return (int(stamp.read_text()) - began) / 1e6


def main() -> int:
    """Measure and print."""
    alone, whole = [], []
    with redis_server() as server, tempfile.TemporaryDirectory() as folder:
        stage = Stage(server.url, Path(folder))
        first_line(stage, Path(folder, "warm"))
        import_redis()
        for number in range(ROUNDS):
            alone.append(import_redis())
            whole.append(first_line(stage, Path(folder, f"stamp-{number}")))
        stage.close()
    ratio = statistics.median(whole) / statistics.median(alone)
    for name, times in (("import redis alone", alone), ("process start -> processor", whole)):
        print(f"{name:27} median {statistics.median(times):6.1f} ms   best {min(times):6.1f} ms   of {len(times)}")
    print(f"{'ratio':27} {ratio:.2f} (target <= {TARGET:g})")
    return 0 if ratio <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
