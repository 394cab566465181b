"""Refuse text that ties the repository to one machine: hosts of package registries, paths of somebody's disk.

uv.lock names the public index and is left out; so is this file, which holds the patterns.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent

HOSTS: Final = (
    r"pypi\.org",
    r"pythonhosted\.org",
    r"registry\.npmjs\.org",
    r"registry\.yarnpkg\.com",
    r"repo[0-9]*\.maven\.",
    r"proxy\.golang\.org",
    r"(deb|security)\.debian\.org",
    r"static\.crates\.io",
)
PATHS: Final = (
    r"/root/",
    r"/work/(main|shared)",
    r"/home/[a-z]+/",
    r"/Users/[a-z]+/",
    r"/opt/wheels",
    r"kind-offline/",
)


def main(tree: Path = ROOT) -> int:
    """Print each line of what git holds in *tree* that has such text; 1 when there is one."""
    command = ["git", "grep", "-nIE", "|".join((*HOSTS, *PATHS)), "--", ".", ":!uv.lock", ":!scripts/committed.py"]
    found = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    print(found.stdout + found.stderr, end="")
    return 0 if found.returncode == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
