"""Specs that are wrong, each with the sentence that says so: the model and the API server refuse them alike."""

from __future__ import annotations

from typing import Any, Final, NamedTuple


class Refused(NamedTuple):
    """`server`: what the API server says where it has words of its own for it; None: it leaves it to the operator."""

    name: str
    spec: dict[str, Any]
    sentence: str
    server: str | None = ""


def a_spec(*job_types: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"queue": "q", "redis": {"secretRef": {"name": "r"}}, "jobTypes": [*job_types] or [{"name": "a"}], **fields}


def _limits(**amounts: Any) -> dict[str, Any]:
    return {"resources": {"limits": amounts}}


DURATION: Final = "expected a duration above 0, such as 30s, 10m or 1h30m"
GROW: Final = {"max": "2Gi"}

REFUSED: Final = (
    Refused("a-name-twice", a_spec({"name": "a"}, {"name": "a"}), "job type 'a' is listed twice", "Duplicate value"),
    Refused("no-job-type", {**a_spec(), "jobTypes": []}, "at least 1 item", "at least 1 items"),
    Refused("unknown-field", a_spec({"name": "a", "memory": "1Gi"}), "Extra inputs", "unknown field"),
    Refused("a-wordy-duration", a_spec({"name": "a", "timeout": "soon"}), "expected a duration such as", DURATION),
    Refused("a-duration-of-0", a_spec({"name": "a", "timeout": "0s"}), "should be greater than", DURATION),
    Refused("a-duration-in-days", a_spec(defaults={"startTimeout": "1d"}), "expected a duration such as", DURATION),
    Refused("a-short-lock", a_spec(lockDuration="10ms"), "greater than or equal to", "a duration of 1s or more"),
    Refused(
        "a-quantity-of-0",
        a_spec({"name": "a", **_limits(memory="0")}),
        "expected a quantity above 0",
        "quantity above 0",
    ),
    Refused(
        "a-wordy-quantity", a_spec({"name": "a", **_limits(memory="lots")}), "expected a quantity such", "such as 512Mi"
    ),
    Refused(
        "a-request-above-its-limit",
        a_spec({"name": "a", "resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}}),
        "requests.memory is above limits.memory; lower the request or raise the limit",
    ),
    Refused(
        "a-cpu-request-above-its-limit",
        a_spec({"name": "a", "resources": {"requests": {"cpu": 2}, "limits": {"cpu": "1500m"}}}),
        "requests.cpu is above limits.cpu; lower the request or raise the limit",
        None,
    ),
    Refused(
        "a-disk-request-above-its-limit-in-defaults",
        a_spec(
            defaults={"resources": {"requests": {"ephemeral-storage": "2G"}, "limits": {"ephemeral-storage": "1900M"}}}
        ),
        "requests.ephemeral-storage is above limits.ephemeral-storage; lower the request or raise the limit",
    ),
    Refused(
        "a-factor-that-does-not-grow",
        a_spec({"name": "a", **_limits(memory="1Gi"), "onOutOfMemory": {"factor": 1, **GROW}}),
        "greater than 1",
        "expected a factor above 1, up to 10",
    ),
    Refused(
        "a-max-below-the-limit",
        a_spec({"name": "a", **_limits(memory="3Gi"), "onOutOfMemory": GROW}),
        "onOutOfMemory.max is below resources.limits.memory; raise max or lower the limit",
    ),
    Refused(
        "nothing-to-raise",
        a_spec({"name": "a", "onOutOfMemory": GROW}),
        "onOutOfMemory raises resources.limits.memory, which is not set; set it",
    ),
    Refused(
        "a-limit-of-defaults-that-the-job-type-replaced",
        a_spec({"name": "a", **_limits(cpu=1)}, defaults={**_limits(memory="1Gi"), "onOutOfMemory": GROW}),
        "onOutOfMemory raises resources.limits.memory, which is not set; set it",
    ),
    Refused(
        "no-disk-to-raise",
        a_spec({"name": "a", **_limits(memory="1Gi")}, defaults={"onOutOfDisk": GROW}),
        "onOutOfDisk raises resources.limits.ephemeral-storage, which is not set; set it",
    ),
    Refused("an-unknown-workload", a_spec({"name": "a", "workload": "Thread"}), "'Job' or 'Pod'", '"Job", "Pod"'),
    Refused("an-unknown-ending", a_spec({"name": "a", "onTimeout": "stop"}), "'retry' or 'fail'", '"retry", "fail"'),
    Refused("no-pending", a_spec(maxPending=0), "greater than or equal to 1", "greater than or equal to 1"),
    Refused(
        "a-variable-of-ours",
        a_spec({"name": "a", "env": [{"name": "BULLPEN_TOKEN", "value": "x"}]}),
        "names that start with BULLPEN_ are the operator's own; choose another",
    ),
    Refused(
        "a-variable-without-value",
        a_spec({"name": "a", "env": [{"name": "A"}]}),
        "expected exactly one of value and valueFrom",
    ),
    Refused("a-colon", a_spec(queue="a:b"), "String should match pattern", "should match"),
)

ACCEPTED: Final = (
    a_spec(),
    a_spec(
        {
            "name": "*",
            "workload": "Pod",
            "timeout": "1h30m",
            "onTimeout": "fail",
            "resources": {
                "requests": {"cpu": 1, "memory": "512Mi"},
                "limits": {"cpu": "1500m", "memory": "1Gi", "ephemeral-storage": "2G"},
            },
            "onOutOfMemory": {"factor": 1.5, "max": "8Gi"},
            "onOutOfDisk": {"factor": 2, "max": "10G"},
        },
        maxPending=5,
        lockDuration="1m",
    ),
    a_spec({"name": "a"}, defaults={**_limits(memory="1Gi"), "onOutOfMemory": GROW}),
)
"""What must pass: the rules refuse nothing that is right."""
