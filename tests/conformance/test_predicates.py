"""The list of intended differences is short, written down and tested."""

from __future__ import annotations

import re

from conformance.predicates import MOST, PREDICATES
from support import ROOT

ROW = re.compile(
    r"^\| (?P<name>[^|]+) \| (?P<number>I\d+|JUDGEMENT \d+|§\d+) \|.*\| `(?P<test>[^`|]+)` \|$", re.MULTILINE
)


def test_the_compatibility_page_lists_every_predicate_in_order() -> None:
    page = (ROOT / "docs" / "compatibility.md").read_text()
    listed = [(row["name"].strip(), row["number"], row["test"]) for row in ROW.finditer(page)]
    assert listed == [(predicate.name, predicate.number, predicate.test) for predicate in PREDICATES]


def test_there_are_few_predicates_and_no_two_of_one_name() -> None:
    assert len({predicate.name for predicate in PREDICATES}) == len(PREDICATES) <= MOST


def test_every_predicate_names_a_test_that_exists() -> None:
    for predicate in PREDICATES:
        path, _, name = predicate.test.partition("::")
        assert f"def {name}(" in (ROOT / "tests" / path).read_text()
