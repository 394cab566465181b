"""The house itself: its layout, its import contracts, its commands."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from support import ROOT

FOLDERS: Final = ("protocol", "operator", "runner", "processors", "cli")
MAKEFILE: Final = (ROOT / "Makefile").read_text()
TARGETS: Final = re.findall(r"^([a-z0-9-]+):", MAKEFILE, re.MULTILINE)

PLANTS: Final = {
    "protocol": ("protocol/bullpen_protocol", "bullpen_runner"),
    "processors": ("processors/bullpen_processors/http", "redis"),
    "runner": ("runner/bullpen_runner", "kubernetes"),
    "operator": ("operator/bullpen_operator/local", "bullpen_processors"),
    "core": ("operator/bullpen_operator", "redis"),
    "pure": ("operator/bullpen_operator", "os"),
    "kubernetes": ("operator/bullpen_operator", "kopf"),
    "http": ("operator/bullpen_operator/local", "aiohttp"),
    "redis": ("runner/bullpen_runner", "redis"),
    "layers": ("operator/bullpen_operator", "bullpen_cli"),
}
"""Contract -> where one bad import is planted, what it imports."""

PLANTED_IN: Final = {"core": "ports.py", "pure": "seen.py", "kubernetes": "naming.py"}
"""Contracts about single modules: the module that gets the bad import; elsewhere it is a new one."""


@pytest.mark.parametrize("folder", FOLDERS)
def test_top_level_folders_are_not_packages(folder: str) -> None:
    """`operator/__init__.py` would replace Python's own `operator` for anything run from here."""
    assert not (ROOT / folder / "__init__.py").exists()


def contracts() -> dict[str, str]:
    """Contract -> its name, of .importlinter."""
    ini = configparser.ConfigParser()
    ini.read(ROOT / ".importlinter")
    return {key.split(":")[2]: ini[key]["name"] for key in ini.sections() if key.count(":") == 2}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Run import-linter over a copy of the packages that holds one bad import for each contract."""
    copy = tmp_path_factory.mktemp("planted")
    shutil.copy(ROOT / ".importlinter", copy)
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for contract, (package, bad) in PLANTS.items():
        with (copy / package / PLANTED_IN.get(contract, f"planted_{contract}.py")).open("a") as module:
            module.write(f"\nimport {bad}\n")
    return lint_imports(copy)


def lint_imports(tree: Path) -> str:
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(str(tree / folder) for folder in FOLDERS),
        "COLUMNS": "200",
    }
    program = Path(sys.executable).with_name("lint-imports")
    command = [str(program), "--no-cache", "--config", ".importlinter"]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("contract", contracts())
def test_each_import_contract_breaks_when_one_bad_import_is_planted(planted: str, contract: str) -> None:
    assert f"{contracts()[contract]} BROKEN" in planted
    assert PLANTED_IN.get(contract, f"planted_{contract}").removesuffix(".py") in planted


def test_every_target_says_in_make_help_what_it_does() -> None:
    said = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^make ([a-z0-9-]+) +\S.+$", said, re.MULTILINE) == TARGETS


def test_every_target_that_runs_something_gets_ready_first() -> None:
    recipes = re.findall(r"^([a-z0-9-]+):.*\n\t(.*)", MAKEFILE, re.MULTILINE)
    assert {target for target, first in recipes if first != "$(READY)"} == {"help", "doctor"}


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_the_commands_that_the_documents_name_are_targets(document: str) -> None:
    named = set(re.findall(r"\bmake ([a-z0-9-]+)", (ROOT / document).read_text()))
    assert named
    assert named <= set(TARGETS)


@pytest.mark.parametrize(
    "document", [path.relative_to(ROOT) for path in sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))], ids=str
)
def test_links_of_the_documents_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", (ROOT / document).read_text())
    assert [link for link in links if not (ROOT / document.parent / link).exists()] == []


def test_the_readme_leads_to_every_document() -> None:
    linked = set(re.findall(r"\]\((docs/[^)#]+)", (ROOT / "README.md").read_text()))
    assert linked == {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
