"""Make the work tree ready for a target of the Makefile: ask the doctor, then bring .venv in line with uv.lock.

    ready.py TARGET

Nothing is done, within a fraction of a second, when .venv is in line already. The standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import venv
from typing import Final

import doctor

UV_VERSION: Final = "0.13.9"
"""What comes from PyPI where PATH has no uv."""

STAMP: Final = doctor.VENV / "in-line-with.json"
INPUTS: Final = (
    *("uv.lock", "pyproject.toml", "scripts/hatch_build.py"),
    "protocol/bullpen_protocol/bullmq/lua/SHA256SUMS",
)
LUA: Final = doctor.ROOT / "protocol" / "bullpen_protocol" / "bullmq" / "lua" / "upstream"
"""Laid down by the build hook, never committed."""


def groups_for(target: str) -> set[str]:
    """Name the dependency groups that *target* needs besides `dev`; Node and Java only where PATH has none."""
    if target not in {
        "test",
        "soak",
        "outage",
        "kills",
        "bench-graph",
        "bench-local",
        "bench-sast",
        "bench-techstack",
        "bench-dispatch",
        "conformance",
    }:
        return set()
    groups = {"test-servers"}
    if doctor.version_of(doctor.which("node") or "node") < doctor.OLDEST_NODE:
        groups.add("test-node")
    if doctor.which("java") is None:
        groups.add("test-java")
    return groups


def install_uv() -> str:
    """Install uv from PyPI into a private environment and return its path."""
    home = doctor.PRIVATE_UV.parent.parent
    print(f"uv {UV_VERSION} -> {home.relative_to(doctor.ROOT)}", flush=True)
    venv.create(home, with_pip=True, clear=True)
    command = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", f"uv=={UV_VERSION}"]
    subprocess.run([*command, "--disable-pip-version-check"], check=True)
    return str(doctor.PRIVATE_UV)


def state_of_inputs() -> str:
    """Hash everything that decides what .venv holds, besides the groups."""
    digest = hashlib.sha256()
    for name in INPUTS:
        digest.update((doctor.ROOT / name).read_bytes())
    return digest.hexdigest()


def stamped() -> tuple[str, set[str]]:
    """Read what .venv was last synced from, with which groups; ("", nothing) when it has to be synced anew."""
    complete = (doctor.VENV / "bin" / "python").exists() and (LUA.is_dir() or not LUA.parent.is_dir())
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return "", set()
    return stamp["state"] if complete else "", set(stamp["groups"])


def sync(groups: set[str]) -> None:
    """Bring .venv in line with the lock, with *groups* besides `dev`."""
    uv = doctor.find_uv() or install_uv()
    command = [uv, "sync", "--quiet", "--frozen", "--inexact", "--python", sys.executable]
    command += ["--reinstall-package", "bullpen"]  # its build hook lays down files that git does not hold
    environment = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    environment |= {"UV_PYTHON_DOWNLOADS": "never", "UV_PROJECT_ENVIRONMENT": str(doctor.VENV)}
    for group in sorted(groups):
        command += ["--group", group]
    print("bringing .venv in line with uv.lock (up to a minute the first time)", flush=True)
    subprocess.run(command, cwd=doctor.ROOT, env=environment, check=True)


def main(target: str) -> int:
    """Get ready for *target*; 1 when something is missing that it cannot run without."""
    if doctor.lacks(target):
        return 1
    state, wanted = state_of_inputs(), groups_for(target)
    synced_from, groups = stamped()
    if synced_from == state and wanted <= groups:
        return 0
    groups |= wanted  # what another target asked for stays
    try:
        sync(groups)
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"missing  the Python packages of uv.lock: {error}; needs a package index once", file=sys.stderr)
        return 1
    STAMP.write_text(json.dumps({"state": state, "groups": sorted(groups)}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
