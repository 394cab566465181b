"""Packages of processors: the one in docs/processors.md, built and installed, and the demo's, in real runners."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bullpen_protocol.assignment import ExitCode, RunnerOutcome
from fakes.attempts import Runner, Stage
from servers.redis import redis_server
from support import ROOT

PAGE = (ROOT / "docs" / "processors.md").read_text()
MEBIBYTE = 2**20


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def install(source: Path, target: Path) -> None:
    """Build a wheel and lay it down, as pip does with --target; the tests' environment has no pip."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(source / "dist")]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=120)
    [wheel] = (source / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)


def process(name: str, payload: str, path: Path | None = None) -> tuple[Any, list[str]]:
    """Run `bullpen process`; returns what it printed, and what it said besides."""
    environment = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    command = [sys.executable, "-m", "bullpen_cli", "process", name]
    done = subprocess.run(
        command, input=payload, capture_output=True, text=True, check=False, env=environment, timeout=60
    )
    return json.loads(done.stdout), done.stderr.splitlines()


def test_the_package_on_the_page_does_what_the_page_shows(tmp_path: Path) -> None:
    source = tmp_path / "word-processors"
    (source / "word_processors").mkdir(parents=True)
    (source / "pyproject.toml").write_text(blocks("toml")[0])
    (source / "word_processors" / "__init__.py").write_text(blocks("python")[0])
    install(source, tmp_path / "target")

    session = blocks("console")[0].splitlines()
    [command] = [line for line in session if line.startswith("$ echo")]
    payload = re.fullmatch(r"\$ echo '(.*)' \| bullpen process count-words", command)
    assert payload is not None
    *said, shown = session[session.index(command) + 1 :]
    assert process("count-words", payload[1], tmp_path / "target") == (json.loads(shown), said)

    refused, _ = process("count-words", '{"text": 5}', tmp_path / "target")
    assert refused["error"] == {
        "kind": "unrecoverable",
        "message": "Invalid payload: expected document and text",
    }


def test_the_processor_on_the_page_that_uses_rdflib_does_what_the_page_says(tmp_path: Path) -> None:
    (tmp_path / "language_processors.py").write_text(blocks("python")[1])
    installed = tmp_path / "language_processors-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: language-processors\nVersion: 1.0\n")
    entry = "[bullpen.processors]\nguess-language = language_processors:GuessLanguage\n"
    (installed / "entry_points.txt").write_text(entry)

    payload = json.dumps({"id": 1, "title": "é 😀", "text": "le rouge et le noir"})
    shown, _ = process("guess-language", payload, tmp_path)
    terms = "<urn:document:1> <http://purl.org/dc/terms/{}> {} <http://example.org/languages> ."
    assert shown == {
        "value": {"triples": 2},
        "nquads": [terms.format("language", '"fr"'), terms.format("title", '"é 😀"')],
        "error": None,
    }


def test_the_page_says_how_many_quads_the_recorded_traffic_becomes() -> None:
    result, _ = process("http-ingest", (ROOT / "examples/traffic/vulpy.json").read_text())
    command = "$ bullpen process http-ingest < examples/traffic/vulpy.json | jq '.nquads | length'"
    assert f"{command}\n{len(result['nquads'])}\n" in PAGE


def unrecoverable(message: str) -> dict[str, str]:
    return {"kind": "unrecoverable", "message": message}


@pytest.mark.parametrize(
    ("name", "payload", "value", "error"),
    [
        pytest.param("demo-oom", {"mebibytes": 40}, {"mebibytes": 40}, None, id="memory-within-bounds"),
        pytest.param("demo-sleep", {"seconds": 0.01}, {"seconds": 0.01}, None, id="sleep"),
        pytest.param("demo-fail", {}, None, {"kind": "failed", "message": "RuntimeError: this job was asked to fail"},
                     id="fail"),
        pytest.param("demo-fail", {"message": "no", "unrecoverable": True}, None, unrecoverable("no"),
                     id="unrecoverable"),
        pytest.param("demo-oom", {"mebibytes": "all"}, None,
                     unrecoverable("Invalid payload: expected mebibytes to be a whole number above 0"),
                     id="wrong-memory"),
        pytest.param("demo-sleep", {"seconds": -1}, None,
                     unrecoverable("Invalid payload: expected seconds to be a number from 0 to 86400"),
                     id="wrong-sleep"),
    ],
)  # fmt: skip
def test_the_demo_s_processors_do_as_they_are_told(name: str, payload: Any, value: Any, error: Any) -> None:
    result, _ = process(name, json.dumps(payload))
    assert result == {"value": value, "nquads": [], "error": error}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with redis_server() as server:
        stage = Stage(server.url, tmp_path)
        yield stage
        stage.close()


def run(stage: Stage, name: str, payload: Any) -> tuple[Runner, str]:
    job_id = stage.queue.add(name, json.dumps(payload), {})
    return stage.start(*stage.claim(), processor=name), job_id


def test_a_runner_runs_a_package_s_processor(stage: Stage) -> None:
    runner, job_id = run(stage, "demo-sleep", {"seconds": 0.2})
    assert runner.wait() == ExitCode.COMPLETED
    job = stage.job(job_id)
    assert job.returnvalue == '{"seconds":0.2}'
    assert job.raw["progress"] == "100"


def test_a_runner_whose_processor_takes_all_memory_says_so_and_leaves_the_rest_to_the_operator(stage: Stage) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (700 * MEBIBYTE, hard))  # inherited; this machine stays safe
    try:
        runner, job_id = run(stage, "demo-oom", {})
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert runner.wait() == ExitCode.OUT_OF_MEMORY
    message = runner.message()
    assert message is not None
    assert message.outcome is RunnerOutcome.OOM
    assert stage.queue.state(job_id) == "active"


def test_the_page_says_what_http_resolver_finds_in_the_recorded_traffic() -> None:
    traffic = json.loads((ROOT / "examples/traffic/vulpy.json").read_text())
    result, _ = process("http-resolver", json.dumps({"list": traffic["payload"]["items"]}))
    command = "$ jq '{list: .payload.items}' examples/traffic/vulpy.json | bullpen process http-resolver"
    stats = json.dumps(result["value"]["result"]["stats"], separators=(",", ":"))
    assert f"{command} | jq -c '.value.result.stats'\n{stats}\n" in PAGE
