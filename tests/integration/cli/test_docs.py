"""What docs/cli.md shows is what the commands print: run in its order beside a `bullpen local`."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner

from bullpen_cli.__main__ import COMMANDS, app
from fakes.findings import fill
from servers.command import Bullpen
from servers.graph import GraphServer
from servers.local import BullpenLocal
from support import ROOT, require

DOCS: Final = (ROOT / "docs/cli.md").read_text()
DEMO: Final = ROOT / "examples" / "demo"
CHANGING: Final = {
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+": "TIME",
    r"\b\d+ (ms|s|min|h)\b": "SPAN",
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}": "UID",
    r"(bp-[a-z-]+)-[0-9a-f]{20}": r"\1-NAME",
    r"/(ended|attempts)/": "/FOLDER/",  # where it is once it is recorded
    r" +": " ",
}


@pytest.fixture
def bullpen(tmp_path: Path) -> Iterator[Bullpen]:
    """The command line in a folder whose `.bullpen` serves the demo's manifests."""
    require("redis-server")
    manifests = [(DEMO / f"{name}.yaml").read_text() for name in ("http-requests", "unruly")]
    local = BullpenLocal(tmp_path, "\n---\n".join(manifests))
    (tmp_path / ".bullpen").symlink_to(local.state)
    [payload] = re.findall(r"```json\n(.*?)```", DOCS, re.DOTALL)
    (tmp_path / "payload.json").write_text(payload)
    try:
        local.start()
        local.client().close()
        yield Bullpen(tmp_path)
    finally:
        local.close()


def examples() -> Iterator[tuple[str, str]]:
    """Yield the commands with what is shown below each."""
    for block in re.findall(r"```console\n(.*?)```", DOCS, re.DOTALL):
        for example in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = example.partition("\n")
            yield command, shown


def steady(text: str) -> list[str]:
    """Split into lines, and leave out what differs from run to run."""
    for pattern, word in CHANGING.items():
        text = re.sub(pattern, word, text)
    return [line.rstrip() for line in text.splitlines()]


def test_every_example_prints_what_the_page_shows(bullpen: Bullpen) -> None:
    code = 0
    for command, shown in examples():
        if command == "echo $?":
            assert str(code) == shown.strip()
            continue
        program, name, *arguments = shlex.split(command)
        assert program == "bullpen"
        if name == "findings":
            store = json.loads((bullpen.folder / ".bullpen/store/store.json").read_text())
            fill(GraphServer("embedded", store["url"]))
        said = bullpen(name, *arguments)
        code = said.code
        printed, page = [steady(said.out), steady(said.err)], steady(shown)
        assert sorted(line for lines in printed for line in lines) == sorted(page), command
        for lines in printed:  # a terminal mixes both, each in its order
            assert [line for line in page if line in lines] == lines, command


def test_every_command_has_an_example_or_a_page_of_its_own() -> None:
    shown = {shlex.split(command)[1] for command, _ in examples() if command != "echo $?"}
    assert set(COMMANDS) - shown == {"local", "process"}
    assert {name for name in COMMANDS if f"bullpen {name}" in DOCS} == set(COMMANDS)


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"local", "process"}))
def test_every_option_and_variable_of_the_page_exists(command: str) -> None:
    text = " ".join(CliRunner().invoke(app, [command, "--help"]).output.split())
    [section] = re.findall(rf"^## {command}$(.*?)(?=^## |\Z)", DOCS, re.DOTALL | re.MULTILINE)
    assert {option for option in re.findall(r"`(--[a-z-]+)", section) if option not in text} == set()
    graph = command in ("findings", "why")
    for variable in ("BULLPEN_GRAPH_URL", "ONT_EX") if graph else ("BULLPEN_REDIS_URL", "BULLPEN_PREFIX"):
        assert variable in text
        assert variable in DOCS
