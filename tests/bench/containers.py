"""`make bench-images`: how long a container takes to its processor's first line, beside `python -c pass` in its image.

Prints both from the start of the container, in turn within one run: this machine's speed cancels out. Below,
for information, the same without the container's own start.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Final

from bullpen_protocol.assignment import Assignment
from fakes.attempts import PROCESSORS, Stage
from images import IMAGES, base, reference, size, version
from servers.redis import redis_server
from support import require

ROUNDS: Final = int(sys.argv[1]) if len(sys.argv) > 1 else 7
TARGET: Final = 3.0
IMAGE: Final = os.environ.get("IMAGE") or reference(IMAGES[-1], os.environ.get("REGISTRY", ""), version())
NOTHING: Final = "import sys, time; sys.stdout.write(str(time.monotonic_ns()))"
"""`pass`, and when it was reached."""


def container(*arguments: str) -> str:
    """Run a container as restricted as a cluster does, and return what it wrote to stdout."""
    limits = ("--read-only", "--cap-drop=ALL", "--network=host", f"--user={os.getuid()}:{os.getgid()}")
    command = ("docker", "run", "--rm", "--tmpfs=/tmp", *limits, *arguments)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def to_nothing() -> float:
    """Milliseconds from the start of a container to `pass`."""
    began = time.monotonic_ns()
    return (int(container("--entrypoint=python", IMAGE, "-c", NOTHING)) - began) / 1e6


def to_processor(stage: Stage, folder: Path) -> tuple[float, float]:
    """Milliseconds to the first line of a processor: from the start of its container, and from that of its Python."""
    stamp = folder / uuid.uuid4().hex
    stage.add(["stamp", str(stamp)])
    job, token = stage.claim()
    assignment = Assignment(
        redis_url=stage.url,
        prefix="bull",
        queue=stage.name,
        job_id=job.id,
        token=token,
        pod_uid=uuid.uuid4().hex,
        processor="played",
        lock_ms=30_000,
        timeout_s=60.0,
    )
    told = assignment.to_environment() | {"PYTHONPATH": str(PROCESSORS), "BULLPEN_TERMINATION_LOG": "/tmp/log"}
    variables = [f"--env={name}={value}" for name, value in told.items()]
    mounts = [f"--volume={PROCESSORS}:{PROCESSORS}:ro", f"--volume={folder}:{folder}"]
    shell = f"date +%s%N >{stamp}.began; exec python -m bullpen_runner"
    offset, began = time.time_ns() - time.monotonic_ns(), time.monotonic_ns()
    container(*variables, *mounts, "--entrypoint=sh", IMAGE, "-c", shell)
    reached = int(stamp.read_text())
    return (reached - began) / 1e6, (reached - (int(Path(f"{stamp}.began").read_text()) - offset)) / 1e6


def in_one_container() -> float:
    """Milliseconds of `python -c pass` where the container is there already."""
    program = (
        "import subprocess, sys, time; a = time.monotonic_ns();"
        "subprocess.run([sys.executable, '-c', 'pass']); print(time.monotonic_ns() - a)"
    )
    return int(container("--entrypoint=python", IMAGE, "-c", program)) / 1e6


def main() -> int:
    """Measure and print."""
    require("docker")
    nothing, whole, inside, alone = [], [], [], []
    with redis_server() as server, tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        stage = Stage(server.url, Path(folder))
        to_processor(stage, Path(folder))
        for _ in range(ROUNDS):
            nothing.append(to_nothing())
            first, own = to_processor(stage, Path(folder))
            whole.append(first)
            inside.append(own)
            alone.append(in_one_container())
        stage.close()
    rows = (("container -> pass", nothing), ("container -> processor", whole), ("pass", alone), ("runner", inside))
    print(f"{IMAGE}: {size(IMAGE) / 1e6:.0f} MB, {base()}: {size(base()) / 1e6:.0f} MB")
    for name, times in rows:
        print(f"{name:27} median {statistics.median(times):6.1f} ms   best {min(times):6.1f} ms   of {len(times)}")
    ratio = statistics.median(whole) / statistics.median(nothing)
    print(f"{'ratio':27} {ratio:.2f} (target <= {TARGET:g})")
    print(f"{'without the container':27} {statistics.median(inside) / statistics.median(alone):.2f}")
    return 0 if ratio <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
