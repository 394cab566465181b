"""The CRD says what the models say, in the words that the API server knows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from bullpen_operator.crd import crd, structural
from bullpen_operator.jobqueue_status import condition, keep_times
from bullpen_operator.model import JobQueueSpec
from fakes.refused_specs import ACCEPTED, DURATION, REFUSED, Refused

FILE = Path(__file__).resolve().parents[3] / "charts" / "bullpen" / "crds" / "jobqueues.bullpen.dev.yaml"


def nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for field in schema.get("properties", {}).values():
        yield from nodes(field)
    if "items" in schema:
        yield from nodes(schema["items"])


def test_the_charts_crd_is_the_models() -> None:
    assert yaml.safe_load(FILE.read_text()) == crd()


def test_the_schema_is_structural() -> None:
    for node in nodes(structural(JobQueueSpec)):
        assert not {"$ref", "title", "format", "additionalProperties", "allOf"} & set(node)
        assert "type" in node or node.get("x-kubernetes-int-or-string")
        assert "anyOf" not in node or node["x-kubernetes-int-or-string"]


def test_no_default_hides_what_a_job_type_left_to_defaults() -> None:
    assert all("default" not in node for node in nodes(structural(JobQueueSpec)))


def test_every_field_of_the_spec_is_there() -> None:
    properties = structural(JobQueueSpec)["properties"]
    aliases = {field.alias for field in JobQueueSpec.model_fields.values()}
    assert set(properties) == aliases
    assert structural(JobQueueSpec)["required"] == ["queue", "redis", "jobTypes"]


def test_kubectl_shows_the_queue_in_numbers() -> None:
    [version] = crd()["spec"]["versions"]
    names = [column["name"] for column in version["additionalPrinterColumns"]]
    assert names == ["Queue", "Waiting", "Active", "Pods", "Pending", "Failed", "Oldest", "Blocked-By", "Ready", "Age"]
    assert crd()["spec"]["names"]["shortNames"] == ["jq"]


def test_a_condition_keeps_the_time_of_its_last_transition() -> None:
    old = [{"type": "Ready", "status": "True", "lastTransitionTime": "then"}]
    kept, turned = (
        keep_times([condition("Ready", true, "R", "m", now="now")], old)[0].last_transition_time
        for true in (True, False)
    )
    assert (kept, turned) == ("then", "now")


@pytest.mark.parametrize("refused", REFUSED, ids=lambda refused: refused.name)
def test_a_wrong_spec_is_refused_with_a_sentence(refused: Refused) -> None:
    with pytest.raises(ValidationError) as caught:
        JobQueueSpec.model_validate(refused.spec)
    assert refused.sentence in str(caught.value)


@pytest.mark.parametrize("spec", ACCEPTED)
def test_what_is_right_is_accepted(spec: dict[str, Any]) -> None:
    JobQueueSpec.model_validate(spec)


def test_the_api_server_is_told_each_sentence_that_it_has_no_words_for() -> None:
    """Whether its rules work is for a real one to say: tests/e2e/test_refusals.py."""
    rules = [rule for node in nodes(crd_spec()) for rule in node.get("x-kubernetes-validations", ())]
    messages = {rule["message"] for rule in rules}
    for refused in REFUSED:
        if refused.server in ("", DURATION):
            assert (refused.server or refused.sentence) in messages


def crd_spec() -> dict[str, Any]:
    [version] = crd()["spec"]["versions"]
    spec: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return spec
