"""What fuzzing found, and what it starts from: `make fuzz-sast` makes more of it."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from fuzz.inputs import CORPUS, made, seeds
from fuzz.judging import judge
from fuzz.sast import smaller


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.json")), ids=lambda path: path.stem)
def test_an_input_of_the_corpus_is_taken_as_any_other(path: Path) -> None:
    assert judge(json.loads(path.read_text("utf-8"))) == ""


def test_equal_seeds_make_equal_inputs() -> None:
    kept = seeds()
    assert [made(Random(5), kept) for _ in range(3)] == [made(Random(5), kept) for _ in range(3)]


def test_an_input_that_fails_is_made_small() -> None:
    given = {"page": {"url": "u", "html": "abcX" * 50, "scripts": [{"code": "no"}, {"code": "bad X bad"}]}}
    found = smaller(given, lambda tried: "X" in json.dumps(tried["page"].get("scripts", "")))
    assert found == {"page": {"scripts": [{"code": "X"}]}}
