"""The suite as a witness of the shipped Roles, last of all: nothing needed is missing, nothing is left over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from e2e.cluster import CONTROL_PLANE, Cluster
from e2e.permissions import Json, forbidden, granted, used

HERE = Path(__file__).parent
SLOW = {"test_worker_nodes.py"}
"""All of it is slow; none of it needs a verb that the others don't."""


def audited(cluster: Cluster) -> list[Json]:
    """Read what the API server wrote down since the suite began."""
    return [json.loads(line) for line in cluster.on_node(CONTROL_PLANE, "cat /var/log/bullpen-audit/*").splitlines()]


def left_out(request: pytest.FixtureRequest) -> str:
    """Say what of the suite this session does not run; empty: nothing."""
    options = request.config.option
    if options.keyword or any("::" in argument for argument in request.config.args):
        return "some tests were chosen by name"
    run = {item.path.name for item in request.session.items}
    return ", ".join(sorted({path.name for path in HERE.glob("test_*.py")} - run - SLOW))


def test_nothing_that_a_release_asked_for_was_forbidden(cluster: Cluster) -> None:
    assert sorted(set(forbidden(audited(cluster)))) == []


def test_every_verb_of_the_shipped_roles_was_used(cluster: Cluster, request: pytest.FixtureRequest) -> None:
    if missing := left_out(request):
        pytest.skip(f"ONLY A PART OF THE SUITE RAN ({missing}): whether every verb is needed remains unknown")
    if request.session.testsfailed:
        pytest.skip("SOME SCENARIOS FAILED: whether every verb is needed remains unknown")
    release = [cluster.helm("get", what, "bp") for what in ("manifest", "hooks")]
    objects = [one for text in release for one in yaml.safe_load_all(text) if one]
    assert sorted(granted(objects) - used(audited(cluster))) == []
