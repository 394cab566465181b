"""A folder of NVD's feeds: what is read, what is not, and what is said when it can't be."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, Final

import pytest

from bullpen_processors.api import SettingsError
from bullpen_processors.techstack import mirror
from bullpen_processors.techstack.analyze import TechstackAnalyze
from fakes.nvd import cpe, record
from fakes.outside import NOWHERE, Outside, outside

NGINX: Final = record("CVE-2021-23017", "nginx", cpe("f5", "nginx", versionEndExcluding="1.20.1"))
ACME: Final = record("CVE-2024-2", "AcmeServer 2.0.1", cpe("acme", "acmeserver", "2.0.1"))
JOOMLA: Final = record("CVE-2024-3", "", cpe("joomla", "joomla\\!", versionEndExcluding="5"))
OTHERS: Final = [record(f"CVE-2024-{n}", "x" * 500, cpe("other", f"p{n}", "1")) for n in range(10, 60)]
PAYLOAD: Final = {
    "technologies": [
        {"name": "nginx", "version": "1.18.0"},
        {"name": "AcmeServer", "version": "2.0.1"},
        {"name": "Joomla", "version": "4.1"},
    ]
}
FOUND: Final = ["tech:nginx:1.18.0:CVE-2021-23017", "tech:AcmeServer:2.0.1:CVE-2024-2", "tech:Joomla:4.1:CVE-2024-3"]


def feed(*items: Any, indent: int | None = None) -> bytes:
    return json.dumps({"format": "NVD_CVE", "vulnerabilities": list(items)}, indent=indent).encode()


def analysed(folder: Path, played: Outside | None = None) -> Any:
    played = played or outside(NOWHERE, nvdMirror=str(folder))
    result = TechstackAnalyze().process(PAYLOAD, played.context)
    value: Any = result.finish(type("Answer", (), {"status": 204})()) if result.finish else result.value
    assert played.web.queries == []
    return value["result"]


def ids(result: Any) -> list[str]:
    return [finding["id"] for finding in result["findings"]]


@pytest.mark.parametrize("indent", [None, 2])
def test_feeds_are_read_as_they_are_and_nothing_is_asked(tmp_path: Path, indent: int | None) -> None:
    (tmp_path / "nvdcve-2.0-2021.json").write_bytes(feed(*OTHERS[:25], NGINX, indent=indent))
    (tmp_path / "nvdcve-2.0-2024.json.gz").write_bytes(gzip.compress(feed(ACME, *OTHERS[25:], JOOMLA, indent=indent)))
    (tmp_path / "nvdcve-2.0-2024.meta").write_text("sha256:...")
    result = analysed(tmp_path)
    assert ids(result) == FOUND
    assert result["lookups"] == "complete"


@pytest.mark.parametrize("piece", [7, 100, 1000])
def test_a_record_is_whole_wherever_a_feed_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    monkeypatch.setattr(mirror, "_PIECE", piece)
    (tmp_path / "a.json").write_bytes(feed(NGINX, *OTHERS, ACME, JOOMLA))
    assert ids(analysed(tmp_path)) == FOUND


def test_of_a_record_that_comes_twice_the_last_counts(tmp_path: Path) -> None:
    (tmp_path / "nvdcve-2.0-2021.json").write_bytes(feed(NGINX))
    mended = record("CVE-2021-23017", "nginx", cpe("f5", "nginx", versionEndExcluding="1.10"))
    (tmp_path / "nvdcve-2.0-modified.json").write_bytes(feed(mended))
    assert ids(analysed(tmp_path)) == []


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("notes.txt", b"", "the mirror holds no feed (*.json or *.json.gz)"),
        ("a.json.gz", b"no gzip", "a feed of the mirror can't be read: BadGzipFile"),
        ("a.json.gz", gzip.compress(feed(NGINX))[:-20], "a feed of the mirror can't be read: EOFError"),
        ("a.json", feed(NGINX)[:-60], "a feed of the mirror can't be read: JSONDecodeError"),
        ("a.json", b'{"cve": {"id": "nginx \xff"}}', "a feed of the mirror can't be read: UnicodeDecodeError"),
    ],
)
def test_a_mirror_that_cannot_be_read_is_a_failed_look_up(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    result = analysed(tmp_path)
    assert result["lookups"] == "failed"
    assert {one["reason"] for one in result["failedLookups"]} == {reason}


def test_a_folder_that_is_not_there_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"setting nvdMirror: .*/nowhere is no folder"):
        analysed(tmp_path / "nowhere")
