"""The list of intended differences is short, written down and tested."""

from __future__ import annotations

import re

from bullpen_processors.sast.spots import REASONS as SAST_REASONS
from bullpen_processors.techstack.reasons import Reason
from conformance import sast_reasons
from conformance.predicates import ALL, MOST, PREDICATES
from conformance.techstack_reasons import REASONS
from support import ROOT

ROW = re.compile(
    r"^\| (?P<name>[^|]+) \| (?P<number>I\d+|JUDGEMENT \d+|§\d+) \|.*\| `(?P<test>[^`|]+)` \|$", re.MULTILINE
)


def test_the_compatibility_page_lists_every_predicate_in_order() -> None:
    page = (ROOT / "docs" / "compatibility.md").read_text()
    listed = [(row["name"].strip(), row["number"], row["test"]) for row in ROW.finditer(page)]
    assert listed == [(predicate.name, predicate.number, predicate.test) for predicate in ALL]


def test_there_are_few_predicates_and_no_two_of_one_name() -> None:
    assert len({predicate.name for predicate in ALL}) == len(ALL)
    assert len(PREDICATES) <= MOST


def test_a_finding_of_techstack_analyze_is_absent_for_one_of_six_reasons_that_explain_names() -> None:
    assert [name for name, *_ in REASONS] == [reason.value for reason in Reason]
    assert len(REASONS) <= 6


def test_a_finding_of_sast_analyze_is_absent_for_one_of_six_reasons_that_explain_names() -> None:
    assert tuple(name for name, *_ in sast_reasons.REASONS) == SAST_REASONS
    assert len(SAST_REASONS) <= 6


def test_every_predicate_names_a_test_that_exists() -> None:
    for predicate in ALL:
        path, _, name = predicate.test.partition("::")
        assert f"def {name}(" in (ROOT / "tests" / path).read_text()
