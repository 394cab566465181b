"""Run every static check, one line each; what a failed one said follows its line.

check.py [NAME...]   all of them, or those named
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import doctor

BIN = doctor.VENV / "bin"


def checks() -> Iterator[tuple[str, list[str]]]:
    """Name each check and its command; every scripts/generate_*.py is one, called with --check."""
    yield "format", [str(BIN / "ruff"), "format", "--check", "."]
    yield "lint", [str(BIN / "ruff"), "check", "."]
    yield "types", [str(BIN / "mypy")]
    yield "imports", [str(BIN / "lint-imports")]
    yield "lock", [doctor.find_uv() or "uv", "lock", "--check"]
    for script in sorted((doctor.ROOT / "scripts").glob("generate_*.py")):
        yield script.stem.replace("_", " "), [sys.executable, str(script), "--check"]
    yield "licences", [sys.executable, "scripts/licences.py"]
    yield "committed", [sys.executable, "scripts/committed.py"]


def passes(name: str, command: list[str]) -> bool:
    """Run one check and print its line."""
    began = time.monotonic()
    done = subprocess.run(command, cwd=doctor.ROOT, capture_output=True, text=True, check=False)
    verdict = "FAILED" if done.returncode else "ok"
    print(f"{name:<16} {verdict:<6} {time.monotonic() - began:5.1f} s", flush=True)
    if done.returncode:
        print(f"{done.stdout}{done.stderr}", flush=True)
    return done.returncode == 0


def main(names: list[str]) -> int:
    """Run the checks; 1 when one fails."""
    results = [passes(name, command) for name, command in checks() if not names or name in names]
    print(f"{results.count(True)} checks passed, {results.count(False)} failed")
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
