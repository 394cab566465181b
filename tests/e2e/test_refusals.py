"""What a real API server says of specs that are wrong: CEL runs nowhere else."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from e2e.cluster import Cluster, CommandError
from fakes.refused_specs import ACCEPTED, REFUSED, Refused


def applied(cluster: Cluster, spec: dict[str, Any]) -> str:
    """Have the API server judge a JobQueue, and keep nothing; what it said."""
    body = {"apiVersion": "bullpen.dev/v1alpha1", "kind": "JobQueue", "metadata": {"name": "judged"}, "spec": spec}
    try:
        arguments = ("create", "--validate=strict", "--dry-run=server", "-f", "-")
        return cluster.kubectl(*arguments, stdin=yaml.safe_dump(body))
    except CommandError as error:
        return str(error)


@pytest.mark.parametrize("refused", REFUSED, ids=lambda refused: refused.name)
def test_the_api_server_refuses_what_the_model_refuses(cluster: Cluster, refused: Refused) -> None:
    said = applied(cluster, refused.spec)
    if refused.server is None:
        assert "created" in said, "now it can tell: say so in fakes/refused_specs.py"
    else:
        assert (refused.server or refused.sentence) in said


@pytest.mark.parametrize("spec", ACCEPTED)
def test_the_api_server_takes_what_the_model_takes(cluster: Cluster, spec: dict[str, Any]) -> None:
    assert "created (server dry run)" in applied(cluster, spec)
