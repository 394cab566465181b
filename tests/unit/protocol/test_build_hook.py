"""The build takes exactly the reviewed scripts, or stops with one sentence."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import pytest

import hatch_build
from support import ROOT

LUA: Final = ROOT / hatch_build.LUA


def test_every_script_of_the_table_is_laid_down_as_reviewed() -> None:
    sums = hatch_build.expected_sums(LUA / "SHA256SUMS")
    laid_down = {path.name: path.read_bytes() for path in (LUA / "upstream").glob("*.lua")}
    assert {name: hashlib.sha256(text).hexdigest() for name, text in laid_down.items()} == sums


def test_the_notice_lies_beside_them() -> None:
    notice = (LUA / "upstream" / "NOTICE").read_text()
    assert "Copyright (c) 2018 BullForce Labs AB" in notice
    assert "MIT License" in notice


def test_every_script_of_the_table_is_used_and_every_used_one_is_in_it() -> None:
    code = "".join(path.read_text() for path in (ROOT / "protocol/bullpen_protocol/bullmq").glob("*.py"))
    sums = hatch_build.expected_sums(LUA / "SHA256SUMS")
    assert {name for name in sums if f'"{name.removesuffix(".lua")}"' in code} == set(sums)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"return 1 -- changed", "a-1.lua of bullmq 2.26.0 has sha256", id="changed"),
        pytest.param(None, "bullmq 2.26.0 holds no a-1.lua", id="missing"),
    ],
)
def test_anything_else_stops_the_build(tmp_path: Path, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / "a-1.lua").write_bytes(content)
    with pytest.raises(hatch_build.ScriptsError, match=says):
        hatch_build.read_scripts({"a-1.lua": hashlib.sha256(b"return 1").hexdigest()}, tmp_path)


def test_another_version_of_the_distribution_stops_the_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    info = tmp_path / "bullmq-3.4.4.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bullmq\nVersion: 3.4.4\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(hatch_build.ScriptsError, match=r"must come from bullmq==2.26.0; 3.4.4 is installed"):
        hatch_build.installed_folder()


def test_what_is_no_longer_needed_goes(tmp_path: Path) -> None:
    (tmp_path / "old-1.lua").write_text("return 0")
    hatch_build.write_scripts(tmp_path, {"new-1.lua": b"return 1"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["NOTICE", "new-1.lua"]
