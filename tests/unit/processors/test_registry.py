"""Which processor a name stands for: ours, a package's, none, or too many."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from bullpen_processors import registry
from bullpen_processors.http.ingest import HttpIngest
from support import ROOT

MODULE = """
from bullpen_processors.api import Result

class Echo:
    def process(self, payload, context):
        return Result(value=payload)

class Broken:
    def __init__(self):
        raise RuntimeError("it does not start")

class NoProcessor:
    pass
"""


def install(folder: Path, package: str, points: str, module: str = MODULE) -> str:
    """Lay down an installed package as pip does; returns the folder for sys.path."""
    name = package.replace("-", "_")
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(points)
    (folder / f"{name}.py").write_text(module)
    return str(folder)


def declared(target: str, name: str = "echo") -> str:
    return f"[console_scripts]\nx = y:z\n\n[bullpen.processors]\n# ours\n{name} = {target}\n\n[other]\na = b:c\n"


def test_ours_are_those_that_the_distribution_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert dict(registry.BUILT_IN) == project["entry-points"][registry.GROUP]


def test_every_one_of_ours_can_be_loaded() -> None:
    assert isinstance(registry.load("http-ingest"), HttpIngest)
    for name in registry.BUILT_IN:
        assert callable(registry.load(name).process)


def test_ours_start_without_importlib_metadata() -> None:
    code = (
        "import sys; from bullpen_processors import registry; registry.load('http-ingest');"
        "sys.exit(bool({'importlib.metadata', 'pathlib', 'urllib.parse', 'pydantic'} & set(sys.modules)))"
    )
    # -S -E: neither .pth files nor an environment import anything first
    path = "import sys; sys.path += " + repr([p for p in sys.path if p])
    assert subprocess.run([sys.executable, "-S", "-E", "-c", f"{path}; {code}"], check=False).returncode == 0


def test_a_package_adds_a_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(install(tmp_path, "echo-one", declared("echo_one:Echo [extra]")))
    assert type(registry.load("echo")).__name__ == "Echo"
    assert registry.names()["echo"] == ("echo-one",)
    assert registry.names()["http-ingest"] == ("bullpen",)


def test_a_package_in_an_archive_adds_a_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(install(tmp_path / "folder", "echo-zip", declared("echo_zip:Echo", "echo-zip")))
    with zipfile.ZipFile(tmp_path / "echo.zip", "w") as archive:
        for path in folder.rglob("*"):
            archive.write(path, path.relative_to(folder))
    monkeypatch.syspath_prepend(str(tmp_path / "echo.zip"))
    assert type(registry.load("echo-zip")).__name__ == "Echo"


def test_a_package_that_is_there_twice_counts_once_and_the_first_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(install(tmp_path / "old", "echo-twice", declared("echo_twice:Gone", "echo-twice")))
    monkeypatch.syspath_prepend(install(tmp_path / "new", "echo-twice", declared("echo_twice:Echo", "echo-twice")))
    assert type(registry.load("echo-twice")).__name__ == "Echo"


def test_two_packages_of_one_name_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(install(tmp_path / "a", "echo-a", declared("echo_a:Echo")))
    monkeypatch.syspath_prepend(install(tmp_path / "b", "echo-b", declared("echo_b:Echo")))
    with pytest.raises(registry.AmbiguousProcessorError) as refusal:
        registry.load("echo")
    assert str(refusal.value) == "processor 'echo' is in 2 packages, echo-a and echo-b: remove all but one"


def test_a_package_may_not_take_the_name_of_one_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(install(tmp_path, "echo-c", declared("echo_c:Echo", "http-ingest")))
    with pytest.raises(registry.AmbiguousProcessorError, match="2 packages, bullpen and echo-c: remove all but one"):
        registry.load("http-ingest")


def test_an_unknown_name_is_answered_with_what_exists() -> None:
    with pytest.raises(registry.UnknownProcessorError) as refusal:
        registry.load("http-ingets")
    sentence = str(refusal.value)
    assert sentence.startswith("no processor is named 'http-ingets'; there are: ")
    assert {"http-ingest", "sparql-update"} <= set(sentence.partition("there are: ")[2].split(", "))


@pytest.mark.parametrize(
    ("target", "why"),
    [
        pytest.param("echo_bad:Broken", "RuntimeError: it does not start", id="constructor"),
        pytest.param("echo_bad:Nothing", "AttributeError: module 'echo_bad' has no attribute 'Nothing'", id="no-class"),
        pytest.param("echo_gone:X", "ModuleNotFoundError: No module named 'echo_gone'", id="no-module"),
        pytest.param("echo_bad:NoProcessor", "has no method process: echo_bad:NoProcessor", id="no-processor"),
        pytest.param("not a target", "ModuleNotFoundError: No module named 'not a target'", id="no-target"),
    ],
)
def test_a_processor_that_cannot_be_loaded_is_named_with_its_package(
    target: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(install(tmp_path, "echo-bad", declared(target)))
    with pytest.raises(registry.UnloadableProcessorError) as refusal:
        registry.load("echo")
    assert "processor 'echo' of package echo-bad" in str(refusal.value)
    assert why in str(refusal.value)
