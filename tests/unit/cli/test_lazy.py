"""Help is quick: neither it nor any command's own help brings redis-py, rdflib or SPARQLWrapper."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from bullpen_cli.__main__ import COMMANDS, app

PROBE = """
import json, sys
from typer.testing import CliRunner
from bullpen_cli.__main__ import app
done = CliRunner().invoke(app, sys.argv[1:])
assert done.exit_code == 0, done.output
print(json.dumps(sorted(name for name in sys.modules if "." not in name)))
"""
HEAVY = {"redis", "rdflib", "kopf", "kubernetes", "aiohttp"}


def loaded(*arguments: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", PROBE, *arguments], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout))


def test_help_imports_no_command() -> None:
    assert not {*HEAVY, "rich", "pydantic", "SPARQLWrapper", "pyoxigraph"} & loaded("--help")


@pytest.mark.parametrize("command", ["add", "jobs", "cancel", "findings"])
def test_the_help_of_a_command_waits_for_no_client(command: str) -> None:
    assert not HEAVY & loaded(command, "--help")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_by_examples_and_names_its_exit_codes(command: str) -> None:
    text = CliRunner().invoke(app, [command, "--help"]).output
    assert f"\n    bullpen {command} " in text or f"\n    bullpen {command}\n" in text
    assert "--json" in text or command == "process"  # which speaks nothing else
    assert "Exit code:" in text or command == "local"


def test_every_command_is_listed_with_its_summary() -> None:
    text = CliRunner().invoke(app, ["--help"]).output
    for name, command in COMMANDS.items():
        assert f"  {name:<10}{command.summary[:40]}" in text
