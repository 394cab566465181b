"""`bullpen process` as people and scripts use it: a real process, its output, its exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support import ROOT

TRAFFIC = ROOT / "examples" / "traffic" / "vulpy.json"

NOISY = """
import os, subprocess, sys
from bullpen_processors.api import Result

class Noisy:
    def process(self, payload, context):
        print("printed")
        subprocess.run(["echo", "from a program"], check=True)
        context.report.log("logged")
        context.report.progress(50)
        if payload == "read":
            return Result(value=sys.stdin.read())
        if payload == "exit":
            sys.exit(3)
        if payload == "none":
            return None
        if payload == "nan":
            return Result(value=float("nan"))
        return Result(value=payload)
"""


def run(*arguments: str, given: bytes = b"", path: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "bullpen_cli", "process", *arguments]
    environment = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    return subprocess.run(command, input=given, capture_output=True, check=False, env=environment, timeout=60)


def objects(done: subprocess.CompletedProcess[bytes]) -> list[Any]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def refused(message: str, kind: str = "unrecoverable") -> dict[str, Any]:
    return {"value": None, "nquads": [], "error": {"kind": kind, "message": message}}


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package whose processor prints, and reads standard input."""
    folder = tmp_path_factory.mktemp("noisy")
    (folder / "noisy.py").write_text(NOISY)
    metadata = folder / "noisy-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: noisy\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[bullpen.processors]\nnoisy = noisy:Noisy\n")
    return folder


def test_recorded_traffic_becomes_quads() -> None:
    done = run("http-ingest", given=TRAFFIC.read_bytes())
    assert done.returncode == 0
    [result] = objects(done)
    assert list(result) == ["value", "nquads", "error"]
    assert result["error"] is None
    assert result["value"] == {"status": 204, "count": 55} | json.loads(TRAFFIC.read_text())
    assert len(result["nquads"]) == 3_522
    assert result["nquads"] == sorted(set(result["nquads"]))
    assert done.stdout.isascii()
    assert done.stderr == b""


def test_a_batch_answers_line_by_line_and_a_bad_line_disturbs_nothing_else() -> None:
    lines = [
        b'{"sparqlUpdate": "INSERT DATA { <urn:a> <urn:p> \\"\xc3\xa9\\" }"}',
        b'{"sparqlUpdate"',
        b"",
        b"\xff",
        b"NaN",
        b"[" * 100_000,
        b"1" * 5_000,
        b'{"sparqlUpdate": 5}',
        b'{"sparqlUpdate": "LOAD <http://127.0.0.1:1/>"}',
        b'{"sparqlUpdate": "SELECT"}',
        b'{"sparqlUpdate": "CLEAR ALL # \\ud800"}',
    ]
    done = run("--batch", "sparql-update", given=b"\n".join(lines))
    assert done.returncode == 1
    assert objects(done) == [
        {"value": {"status": 204}, "nquads": ['<urn:a> <urn:p> "é" .'], "error": None},
        refused("the payload is not JSON: Expecting ':' delimiter at character 15"),
        refused("the payload is not JSON: Expecting value at character 0"),
        refused("the payload is not UTF-8: byte 0"),
        refused("the payload is not JSON: it holds NaN"),
        refused("the payload is nested too deep"),
        refused("the payload holds a number that is too long"),
        refused("Invalid sparqlUpdate: expected text"),
        refused("the update has LOAD or SERVICE, which needs a store and a network", "not-run"),
        refused("not a SPARQL update: error at 1:7: expected one of CREATE, DELETE, INSERT, PREFIX, [_]"),
        {"value": {"status": 204}, "nquads": [], "error": None},
    ]


def test_what_a_processor_prints_and_starts_stays_out_of_the_results(noisy: Path) -> None:
    payloads = b'"text"\n"read"\n"exit"\n"none"\n"nan"\n"last"\n'
    done = run("--batch", "noisy", given=payloads, path=noisy)
    assert done.returncode == 1
    assert objects(done) == [
        {"value": "text", "nquads": [], "error": None},
        {"value": "", "nquads": [], "error": None},
        refused("the processor called sys.exit(3)", "failed"),
        refused("TypeError: the processor returned NoneType, not a Result", "failed"),
        {"value": None, "nquads": [], "error": None},
        {"value": "last", "nquads": [], "error": None},
    ]
    said = done.stderr.decode().splitlines()
    assert [said.count(line) for line in ("printed", "from a program", "logged", "progress: 50")] == [6, 6, 6, 6]


def test_settings_reach_the_processor() -> None:
    item = {"id": "r", "method": "GET", "uri": {"full": "http://x/"}}
    given = json.dumps({"payload": item}).encode()
    [result] = objects(run("http-ingest", "--settings", '{"ontEx": "http://e.test/o"}', given=given))
    assert '<urn:req:r> <http://e.test/o#id> "r" <http://localhost/graphs/http-requests> .' in result["nquads"]
    [result] = objects(run("http-ingest", "--settings", '{"ontEx": 5}', given=given))
    assert result == refused(
        "setting ontEx: expected an absolute IRI such as http://localhost/onto/ontowebpt", "failed"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["no-such"], "bullpen process: no processor is named 'no-such'; there are: ", id="unknown-name"),
        pytest.param([], "bullpen process: say which processor: ", id="no-name"),
        pytest.param(["http-ingest", "--settings", "[]"], "bullpen process: --settings: expected a JSON object",
                     id="wrong-settings"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_one_sentence_and_exit_code_2(arguments: list[str], sentence: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().startswith(sentence)
    assert len(done.stderr.splitlines()) == 1


def test_the_list_names_every_processor_with_its_package() -> None:
    done = run("--list")
    assert done.returncode == 0
    listed = dict(line.split() for line in done.stdout.decode().splitlines())
    assert listed["http-ingest"] == "bullpen"
    assert listed["demo-oom"] == "bullpen-demo-processors"


def test_help_teaches_by_example() -> None:
    said = run("--help").stdout.decode()
    assert "bullpen process http-ingest < examples/traffic/vulpy.json" in said
    assert all(f"  {code}  " in said for code in (0, 1, 2))


def test_explain_says_what_is_not_reported_and_why() -> None:
    cookie = {"name": "video", "domain": ".a.test", "secure": True, "httpOnly": False, "sameSite": "Lax"}
    payload = json.dumps({"technologies": [], "cookies": [cookie], "mainDomain": "https://www.a.test/"}).encode()
    done = run("techstack-analyze", "--explain", given=payload)
    assert done.stderr.decode().splitlines() == [
        "not reported: cookie video: first-party-cookie: a.test belongs to www.a.test",
        "not reported: cookie video: no-credential: no word of its name says session, token or id",
        "1 findings; look-ups: none",
    ]
    assert objects(done)[0]["value"]["result"]["findings"][0]["rule"] == "missing_httponly"
    assert len(run("techstack-analyze", given=payload).stderr.splitlines()) == 1
