"""Alerts are about metrics that exist, with labels that they have, and the runbook says what to do about each."""

from __future__ import annotations

import re

import pytest
import yaml

from bullpen_operator.metrics import Metrics
from support import ROOT

MANIFEST = yaml.safe_load((ROOT / "manifests" / "alerts.yaml").read_text())
RULES = [rule for group in MANIFEST["spec"]["groups"] for rule in group["rules"]]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
_METRIC = re.compile(r"\bbullpen_\w+")
_LABELS = re.compile(r"(bullpen_\w+)\{([^}]*)\}")


def labels_by_sample() -> dict[str, set[str]]:
    """Names of samples as Prometheus stores them, with their labels: those of an operator that has met everything."""
    found = {}
    for collector in vars(Metrics()).values():
        names, labels = getattr(collector, "describe", None), getattr(collector, "_labelnames", ())
        for family in names() if names is not None and labels else ():
            found[family.name + ("_total" if family.type == "counter" else "")] = set(labels)
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_names_metrics_and_labels_that_exist_and_is_in_the_runbook(rule: dict[str, str]) -> None:
    samples = labels_by_sample()
    assert set(_METRIC.findall(rule["expr"])) <= samples.keys()
    for name, selector in _LABELS.findall(rule["expr"]):
        assert {part.partition("=")[0].rstrip("!~") for part in selector.split(",")} <= samples[name]
    assert f"\n## {rule['alert']}\n" in RUNBOOK


def test_the_runbook_tells_of_no_alert_that_there_is_not() -> None:
    assert re.findall(r"\n## (Bullpen\w+)\n", RUNBOOK) == [rule["alert"] for rule in RULES]
