"""Every recorded job of the original comes to the same, but for the differences that are listed and meant."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from original import CASES, DIFFERENCES, cases, unexplained
from support import ROOT

ROW = re.compile(r"^\| (?P<name>[^|]+) \| (?P<source>I\d+|JUDGEMENT \d+|§\d+) \|", re.MULTILINE)


@pytest.mark.parametrize(("kind", "least"), [("http-ingest", 100), ("sparql-update", 20)])
def test_every_recorded_job_comes_to_the_same(kind: str, least: int) -> None:
    if not CASES.is_dir():
        pytest.skip("the recorded jobs are not here: ../shared/oracle")
    seen, counted = 0, Counter[str]()
    wrong = []
    for case in cases(kind):
        theirs, ours = case.theirs(), case.ours()
        left, explained_by = unexplained(case, theirs, ours)
        seen += 1
        counted.update(explained_by)
        if left:
            wrong.append((case.name, sorted(left), theirs.reason, ours.reason))
    print(f"{kind}: {seen} cases, {dict(counted)}")
    assert wrong == []
    assert seen >= least


def test_the_compatibility_page_lists_every_difference() -> None:
    page = (ROOT / "docs" / "compatibility.md").read_text()
    listed = {(row["name"].strip(), row["source"]) for row in ROW.finditer(page)}
    assert listed == {(difference.name, difference.source) for difference in DIFFERENCES}
