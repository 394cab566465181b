"""Check the licence of every package that Bullpen installs against scripts/licences.toml.

The closure is uv.lock's, without development groups; the licences are what the installed packages say of themselves.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from typing import Final

import doctor

ALLOW_LIST: Final = doctor.ROOT / "scripts" / "licences.toml"
EXPORT: Final = ("export", "--frozen", "--quiet", "--no-dev", "--all-extras", "--no-hashes", "--no-emit-project")


def closure(uv: str) -> list[str]:
    """Name every package that an installation with all extras pulls in, on any platform."""
    said = subprocess.run([uv, *EXPORT], cwd=doctor.ROOT, capture_output=True, text=True, check=True).stdout
    return [line.split("==")[0] for line in said.splitlines() if "==" in line and not line.startswith(" ")]


def licences(packages: list[str]) -> dict[str, str]:
    """Read package -> licence of those of *packages* that are installed here."""
    command = [sys.executable, "-m", "piplicenses", "--with-system", "--from=mixed", "--format=json", "--packages"]
    said = subprocess.run([*command, *packages], capture_output=True, text=True, check=True).stdout
    return {row["Name"]: row["License"] for row in json.loads(said)}


def not_allowed(found: dict[str, str]) -> dict[str, str]:
    """Keep what is not on the allow-list; a licence that a package does not name is never on it."""
    allow_list = tomllib.loads(ALLOW_LIST.read_text())
    allowed = allow_list["allow"].keys() | allow_list["compound"].keys()
    return {package: licence for package, licence in found.items() if licence not in allowed}


def main() -> int:
    """Print every package whose licence nobody has allowed; 1 when there is one, or when nothing was found."""
    found = licences(closure(doctor.find_uv() or "uv"))
    refused = not_allowed(found)
    for package, licence in refused.items():
        print(f"{package}: {licence!r} is not in {ALLOW_LIST.name}; read it, then allow it with a reason or drop it")
    print(f"{len(found)} packages, {len(refused)} refused")
    return 1 if refused or not found else 0


if __name__ == "__main__":
    sys.exit(main())
