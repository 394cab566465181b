"""What the Dockerfiles promise and no build is needed to see."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCKERFILES = ["Dockerfile.runner", "Dockerfile.operator"]


def instructions(name: str) -> list[str]:
    return [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_runs_as_a_numeric_plain_user(name: str) -> None:
    assert "USER 10001:10001" in instructions(name)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_needs_no_build_kit(name: str) -> None:
    text = "\n".join(instructions(name))
    assert "--mount" not in text
    assert "--chmod" not in text
    assert "<<" not in text


@pytest.mark.parametrize("name", DOCKERFILES)
def test_dependencies_come_from_the_lock_with_the_pinned_uv(name: str) -> None:
    text = "\n".join(instructions(name))
    ready = ast.parse((ROOT / "scripts" / "ready.py").read_text())
    [pinned] = [
        ast.literal_eval(node.value)
        for node in ready.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "UV_VERSION"
        if node.value is not None
    ]
    assert f"ARG UV_VERSION={pinned}" in text
    assert text.count("uv sync --frozen") == 2


def test_the_runners_image_gets_nothing_of_the_operator() -> None:
    copied = [line.split()[1] for line in instructions("Dockerfile.runner") if line.startswith("COPY")]
    assert "operator" not in copied
    assert "cli" not in copied
    assert "--extra operator" not in "\n".join(instructions("Dockerfile.runner"))
