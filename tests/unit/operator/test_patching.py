"""Strategic merge, case by case as `kubectl patch` does it."""

from __future__ import annotations

from typing import Any

import pytest

from bullpen_operator.patching import PatchError, merge

RUNNER = {"name": "runner", "image": "a", "env": [{"name": "A", "value": "1"}]}


@pytest.mark.parametrize(
    ("original", "patch", "merged"),
    [
        pytest.param({"a": 1}, {"b": 2}, {"a": 1, "b": 2}, id="a-field-is-added"),
        pytest.param({"a": {"b": 1}}, {"a": {"c": 2}}, {"a": {"b": 1, "c": 2}}, id="maps-are-merged"),
        pytest.param({"a": 1, "b": 2}, {"a": None}, {"b": 2}, id="null-removes"),
        pytest.param({"a": {"b": 1}}, {"a": {"$patch": "replace", "c": 2}}, {"a": {"c": 2}}, id="a-map-is-replaced"),
        pytest.param(
            {"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]}, {"tolerations": [{"key": "b"}]},
            id="a-list-without-merge-key-is-replaced",
        ),
        pytest.param(
            {"containers": [RUNNER]}, {"containers": [{"name": "runner", "image": "b"}]},
            {"containers": [{**RUNNER, "image": "b"}]}, id="a-container-is-patched-by-name",
        ),
        pytest.param(
            {"containers": [RUNNER]}, {"containers": [{"name": "side", "image": "b"}]},
            {"containers": [RUNNER, {"name": "side", "image": "b"}]}, id="a-container-is-added",
        ),
        pytest.param(
            {"containers": [RUNNER]}, {"containers": [{"name": "runner", "$patch": "delete"}]}, {"containers": []},
            id="a-container-is-removed",
        ),
        pytest.param(
            {"volumes": [{"name": "a"}]}, {"volumes": [{"$patch": "replace"}, {"name": "b"}]},
            {"volumes": [{"name": "b"}]}, id="a-keyed-list-is-replaced",
        ),
        pytest.param(
            {"containers": [RUNNER]},
            {"containers": [{"name": "runner", "env": [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}]}]},
            {"containers": [{**RUNNER, "env": [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}]}]},
            id="variables-are-merged-by-name",
        ),
    ],
)  # fmt: skip
def test_a_patch_is_merged(original: dict[str, Any], patch: dict[str, Any], merged: dict[str, Any]) -> None:
    before = repr((original, patch))
    assert merge(original, patch) == merged
    assert repr((original, patch)) == before, "neither input is changed"


@pytest.mark.parametrize(
    ("patch", "sentence"),
    [
        pytest.param(
            {"containers": [{"image": "b"}]}, "podTemplate.containers: every element needs a 'name'", id="key"
        ),
        pytest.param({"containers": ["runner"]}, "podTemplate.containers: every element needs a 'name'", id="text"),
        pytest.param({"spec": {"$patch": "erase"}}, "podTemplate.spec: $patch is 'erase'", id="directive"),
    ],
)
def test_a_wrong_patch_says_where_it_is_wrong(patch: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PatchError) as caught:
        merge({"containers": []}, patch)
    assert sentence in str(caught.value)
