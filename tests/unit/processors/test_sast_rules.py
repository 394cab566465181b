"""Rules are data: each is run on its own examples, and a wrong one is refused by name, line and reason."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bullpen_processors.api import SettingsError
from bullpen_processors.sast.analyzer import SastAnalyze
from bullpen_processors.sast.models import BUILT_IN, built_in
from bullpen_processors.sast.ruleset import RuleError, check, compiled
from fakes.processing import process
from support import ROOT

RULES = [(family["family"], rule) for family in built_in() for rule in family["rules"]]


def flows(code: str, **settings: Any) -> list[dict[str, Any]]:
    payload = {"url": "https://shop.example/p", "html": "", "scripts": [{"code": code}]}
    found = process(SastAnalyze(), payload, settings).value()["result"]["findings"]
    return [finding for finding in found if finding["ruleId"] == "taint-flow"]


@pytest.mark.parametrize(("family", "rule"), RULES, ids=[f"{family}/{rule['id']}" for family, rule in RULES])
def test_a_rule_finds_a_flow_in_its_bad_example_and_none_in_its_good_one(family: str, rule: dict[str, Any]) -> None:
    assert flows(rule["bad"]) != []
    assert flows(rule["good"]) == []


def test_what_jobs_read_is_compiled_from_the_files() -> None:
    assert BUILT_IN.read_text("utf-8") == compiled(BUILT_IN.parent)


RULE = """family: own
rules:
  - id: own-sink
    cites: https://example.org/api
    sinks:
      - {call: [paint], arguments: [0], needs: [html], kind: dom-xss}
    bad: paint(location.hash)
    good: paint('a')
"""


def test_rules_of_a_user_are_added_to_ours(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(RULE)
    assert flows("paint(location.hash)") == []
    [found] = flows("paint(location.hash); eval('1')", **{"sast.rules": str(tmp_path)})
    assert found["sink"]["rule"] == "own-sink"
    assert len(flows("eval(location.hash)", **{"sast.rules": str(tmp_path)})) == 1


def test_rules_of_a_configmap_are_read_though_it_is_mounted_as_links(tmp_path: Path) -> None:
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "own.yaml").write_text(RULE)
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "own.yaml").symlink_to("..data/own.yaml")
    [found] = flows("paint(location.hash)", **{"sast.rules": str(tmp_path)})
    assert found["sink"]["rule"] == "own-sink"


def test_an_id_that_is_taken_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(RULE.replace("own-sink", "timers"))
    with pytest.raises(SettingsError, match="rule timers: the built-in family dom has one of that id"):
        flows("1", **{"sast.rules": str(tmp_path)})
    (tmp_path / "own.yaml").write_text(RULE)
    (tmp_path / "two.yaml").write_text(RULE.replace("family: own", "family: two"))
    with pytest.raises(SettingsError, match="rule own-sink: the family own has one of that id"):
        flows("1", **{"sast.rules": str(tmp_path)})


def test_the_example_of_the_document_finds_what_it_says_and_nothing_else(tmp_path: Path) -> None:
    [text] = re.findall(r"```yaml\n(family: .*?)```", (ROOT / "docs" / "sast.md").read_text(), re.DOTALL)
    (tmp_path / "shop.yaml").write_text(text)
    [rule] = check("shop.yaml", text)["rules"]
    [found] = flows(rule["bad"], **{"sast.rules": str(tmp_path)})
    assert (found["sink"]["rule"], found["kind"], found["severity"]) == (rule["id"], "dom-xss", "high")
    assert flows(rule["good"], **{"sast.rules": str(tmp_path)}) == []
    assert flows(rule["bad"]) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (RULE.replace("kind: dom-xss", "kind: wrong"), "own.yaml: line 6: rule own-sink: rules.0.sinks.0.kind: "),
        (RULE.replace("    good: paint('a')\n", ""), "own.yaml: line 3: rule own-sink: rules.0.good: Field required"),
        (RULE.replace("needs: [html]", "need: [html]"), "own.yaml: line 6: rule own-sink: rules.0.sinks.0.need: "),
        (RULE.replace("call: [paint], ", ""), "own.yaml: line 6: rule own-sink: rules.0.sinks.0: "),
        (
            RULE.replace("[paint]", "[paint, a b]"),
            "own.yaml: line 6: rule own-sink: rules.0.sinks.0.call.1: expected a path such as toast.show, ",
        ),
        (RULE + RULE.partition("rules:\n")[2], "own.yaml: line 1: two rules have the id own-sink"),
        ("family: [", "own.yaml: line 1: no YAML: "),
        ("- a", "own.yaml: line 1: Input should be a valid dictionary"),
    ],
)
def test_a_wrong_rule_is_refused_by_file_line_name_and_reason(text: str, message: str) -> None:
    with pytest.raises(RuleError) as refused:
        check("own.yaml", text)
    assert str(refused.value).startswith(message)


def test_a_setting_that_names_no_rules_gives_the_job_back(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no folder"):
        flows("1", **{"sast.rules": str(tmp_path / "none")})
    with pytest.raises(SettingsError, match="holds no"):
        flows("1", **{"sast.rules": str(tmp_path)})
    (tmp_path / "own.yaml").write_text("family: 1")
    with pytest.raises(SettingsError, match=r"own.yaml: line 1: "):
        flows("1", **{"sast.rules": str(tmp_path)})
