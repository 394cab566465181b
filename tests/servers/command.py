"""`bullpen` as people run it: in this process, which is quicker, or in one of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from bullpen_cli.__main__ import app


@dataclass(frozen=True)
class Said:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The answer of --json."""
        assert self.err == ""
        return json.loads(self.out)


@dataclass(frozen=True)
class Bullpen:
    """The command line in a folder, with variables of its own; those of the tests' environment are left out."""

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Said:
        """Run a command to its end."""
        cleared: dict[str, str | None] = {name: None for name in os.environ if name.startswith("BULLPEN_")}
        with contextlib.chdir(self.folder):
            done = CliRunner().invoke(app, arguments, input=stdin, env={**cleared, **self.variables})
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Said(done.exit_code, done.stdout, done.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command as a process."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BULLPEN_")}
        return subprocess.Popen(
            [sys.executable, "-m", "bullpen_cli", *arguments],
            cwd=self.folder,
            env={**kept, "TZ": "UTC", "PYTHONUTF8": "1", **self.variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
