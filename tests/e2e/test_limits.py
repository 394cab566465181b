"""Limits are really applied; what was too little grows, is remembered, and is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from e2e.cluster import Cluster, until_equal
from e2e.job_types import COMPLETED, DEMO, RETRIED_ONCE, assert_never_two_at_once, script, sleeper
from e2e.queues import Queue, Queues

pytestmark = [pytest.mark.usefixtures("nothing_is_forbidden"), pytest.mark.beside]

MIB = 2**20
MEMORY = "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes"
CPU = "cat /sys/fs/cgroup/cpu.max 2>/dev/null || (cd /sys/fs/cgroup/cpu && cat cpu.cfs_quota_us cpu.cfs_period_us)"
LIMITS = {"limits": {"memory": "96Mi", "cpu": "250m"}, "requests": {"cpu": "10m", "memory": "32Mi"}}
# `tail` keeps 80 MB; the shell outlives its kill until containerd has heard of it: seconds, on a busy node
HUNGRY = (
    "head -c 80000000 /dev/zero | tail >/dev/null; status=$?; "
    '[ $status = 0 ] || { sleep 12; exit $status; }; echo fed >"$BULLPEN_RESULT"'
)


def limits_of(queue: Queue, job_id: str, resource: str = "memory") -> list[str]:
    """Read the limits of a job's pods, oldest first."""
    mains = [pod["spec"]["containers"][0] for pod in queue.pods(job_id)]
    return [main["resources"]["limits"][resource] for main in mains]


def sizes(queue: Queue) -> list[dict[str, str]]:
    found: list[dict[str, str]] = queue.stored()["status"].get("sizes", [])
    return found


def hungry(kind: str, workload: str, start: str = "64Mi", most: str = "256Mi") -> tuple[list[dict[str, Any]], Any]:
    """A job type that needs more than 64 MiB, and its payload."""
    more: dict[str, Any] = {
        "workload": workload,
        "resources": {"limits": {"memory": start}, "requests": {"cpu": "10m", "memory": "32Mi"}},
        "onOutOfMemory": {"factor": 2, "max": most},
    }
    if kind == "plain":
        return script(HUNGRY, **more), {}
    return [{"name": "demo-oom", "image": DEMO, "giveBack": {"delay": "1s"}, **more}], {"mebibytes": 64}


def test_a_plain_container_sees_the_limits_of_its_job_type(queues: Queues) -> None:
    text = f"{{ {MEMORY}; {CPU}; }} | tr '\\n' ' ' >$BULLPEN_RESULT"
    queue = queues.serve("limits-plain", script(text, resources=LIMITS))
    job_id = queue.add("sh", {})
    queue.until_counts(200, completed=1)
    assert json.loads(queue.job(job_id)["returnvalue"]).split() == [str(96 * MIB), "25000", "100000"]


@pytest.mark.parametrize("workload", ["Job", "Pod"])
def test_a_managed_container_sees_the_limits_of_its_job_type(cluster: Cluster, queues: Queues, workload: str) -> None:
    queue = queues.serve(f"limits-{workload.lower()}", sleeper(resources=LIMITS, workload=workload))
    job_id = queue.add("demo-sleep", {"seconds": 10})
    pod = queue.until_running(job_id, 200).name
    seen = cluster.kubectl("exec", pod, "-c", "runner", "--", "sh", "-c", f"{MEMORY}; {CPU}")
    assert seen.split() == [str(96 * MIB), "25000", "100000"]
    queue.until_counts(120, completed=1)


@pytest.mark.row(2, 4)
@pytest.mark.parametrize("workload", ["Job", "Pod"])
@pytest.mark.parametrize("kind", ["managed", "plain"])
def test_what_ran_out_of_memory_gets_more_succeeds_and_the_next_job_begins_with_it(
    queues: Queues, kind: str, workload: str
) -> None:
    job_types, payload = hungry(kind, workload)
    name = job_types[0]["name"]
    queue = queues.serve(f"grows-{kind}-{workload.lower()}", job_types)
    first = queue.add(name, payload, attempts=3)
    queue.until_counts(200, completed=1)
    assert queue.story(first) == RETRIED_ONCE
    assert queue.spent(first) == ("2", "2"), "memory is the job's own doing: it costs an attempt"
    assert "it had 64Mi, the next gets 128Mi of memory" in queue.job(first)["stacktrace"]
    lives = queue.until_ended(first)
    assert [life.exit_code for life in lives] == [137, 0]
    assert_never_two_at_once(lives)
    assert limits_of(queue, first) == ["64Mi", "128Mi"]
    until_equal("status.sizes", 20, lambda: sizes(queue), [{"jobType": name, "memory": "128Mi"}])

    second = queue.add(name, payload, attempts=3)
    queue.until_counts(200, completed=2)
    assert queue.story(second) == COMPLETED
    assert (queue.spent(second), limits_of(queue, second)) == (("1", "1"), ["128Mi"])


def test_what_needs_more_than_the_most_that_is_allowed_fails_for_good_and_says_so(queues: Queues) -> None:
    job_types, payload = hungry("plain", "Job", start="32Mi", most="48Mi")
    queue = queues.serve("grows-to-max", job_types)
    job_id = queue.add("sh", payload, attempts=5)
    queue.until_counts(200, failed=1)
    assert queue.story(job_id) == ["added", "waiting", "active", "waiting", "active", "failed"]
    assert queue.job(job_id)["failedReason"] == (
        "out of memory: the container reached its memory limit (OOMKilled); "
        "48Mi is the most that onOutOfMemory.max allows: raise it"
    )
    assert limits_of(queue, job_id) == ["32Mi", "48Mi"]


def test_what_was_learned_goes_when_the_resources_of_the_job_type_are_changed(queues: Queues) -> None:
    job_types, payload = hungry("plain", "Job")
    queue = queues.serve("grows-anew", job_types)
    queue.add("sh", payload, attempts=2)
    queue.until_counts(200, completed=1)
    until_equal("status.sizes", 20, lambda: sizes(queue), [{"jobType": "sh", "memory": "128Mi"}])
    requests = {"cpu": "10m", "memory": "32Mi"}
    queue.change(jobTypes=[job_types[0] | {"resources": {"limits": {"memory": "100Mi"}, "requests": requests}}])
    until_equal("status.sizes", 20, lambda: sizes(queue) or None, None)
    job_id = queue.add("sh", payload, attempts=2)
    queue.until_counts(200, completed=2)
    assert (queue.story(job_id), limits_of(queue, job_id)) == (COMPLETED, ["100Mi"])


@pytest.mark.row(3)
def test_a_kill_for_memory_inside_a_job_that_ends_well_is_no_failure(queues: Queues) -> None:
    queue = queues.serve("oom-survived", script('tail /dev/zero; sleep 5; echo well >"$BULLPEN_RESULT"'))
    job_id = queue.add("sh", {}, attempts=1)
    queue.until_counts(200, completed=1)
    assert (queue.story(job_id), queue.job(job_id)["returnvalue"]) == (COMPLETED, '"well"')
    [life] = queue.until_ended(job_id)
    assert (life.exit_code, life.reason) == (0, "OOMKilled"), "the kubelet says so, and it is not what happened"


@pytest.mark.row(8)
@pytest.mark.parametrize("workload", ["Job", "Pod"])
def test_what_ran_out_of_disk_gets_more_and_succeeds(queues: Queues, workload: str) -> None:
    text = (
        'head -c 50000000 /dev/zero >/tmp/x; [ "$BULLPEN_ATTEMPT" = 2 ] || exec sleep 600; echo kept >"$BULLPEN_RESULT"'
    )
    requests = {"cpu": "10m", "memory": "16Mi", "ephemeral-storage": "10Mi"}
    more: dict[str, Any] = {
        "workload": workload,
        "resources": {"limits": {"memory": "64Mi", "ephemeral-storage": "20Mi"}, "requests": requests},
        "onOutOfDisk": {"factor": 4, "max": "1Gi"},
    }
    queue = queues.serve(f"disk-{workload.lower()}", script(text, **more))
    job_id = queue.add("sh", {}, attempts=2)
    queue.until_counts(240, completed=1)
    assert queue.story(job_id) == RETRIED_ONCE
    assert queue.spent(job_id) == ("2", "2"), "its own limit of disk is the job's own doing: it costs an attempt"
    assert "it had 20Mi, the next gets 80Mi of disk" in queue.job(job_id)["stacktrace"]
    assert limits_of(queue, job_id, "ephemeral-storage") == ["20Mi", "80Mi"]
    until_equal("status.sizes", 20, lambda: sizes(queue), [{"jobType": "sh", "ephemeralStorage": "80Mi"}])


@pytest.mark.row(8)
def test_a_full_emptydir_is_counted_and_the_kubelet_s_own_words_are_kept(queues: Queues) -> None:
    volume = {"volumes": [{"name": "small", "emptyDir": {"sizeLimit": "10Mi"}}]}
    mount = {"volumeMounts": [{"name": "small", "mountPath": "/small"}]}
    job_types = script("head -c 50000000 /dev/zero >/small/x; exec sleep 600", pod=None, container=mount)
    job_types[0]["podTemplate"]["spec"] |= volume
    queue = queues.serve("disk-volume", job_types)
    job_id = queue.add("sh", {}, attempts=1)
    queue.until_counts(240, failed=1)
    assert queue.story(job_id) == ["added", "waiting", "active", "failed", "retries-exhausted"]
    assert queue.job(job_id)["failedReason"] == (
        'it used more disk than its limit (Usage of EmptyDir volume "small" exceeds the limit "10Mi". )'
    )
