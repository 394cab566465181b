"""The same trouble in the same words, whatever the cluster counts."""

from __future__ import annotations

import pytest

from bullpen_operator.refusals import refusal_of
from bullpen_operator.wording import LIMIT, steady, unpulled, unscheduled

QUOTA = "exceeded quota: few, requested: pods=1, used: pods={}, limited: pods=10"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(
            f'Error creating: pods "bp-q-0a1b-x7k2p" is forbidden: {QUOTA.format(9)}',
            f'pods "bp-q-ffff-zzzzz" is forbidden: {QUOTA.format(10)}',
            id="what-a-quota-has-used",
        ),
        pytest.param(
            "MountVolume.SetUp failed for volume pvc-0b7c1f7e-0000-4000-8000-00000000000a",
            "MountVolume.SetUp failed for volume pvc-1b7c1f7e-0000-4000-8000-00000000000b",
            id="uids",
        ),
        pytest.param("a\n  b", "a b", id="line-breaks"),
        pytest.param(
            f"(combined from similar events): Error creating: {QUOTA.format(9)}", QUOTA.format(9), id="many-events"
        ),
        pytest.param(
            'image will run as root (pod: "bp-q-1-x_ns(0b7c1f7e-0000-4000-8000-00000000000a)", container: runner)',
            'image will run as root (pod: "bp-q-2-y_ns(1b7c1f7e-0000-4000-8000-00000000000a)", container: runner)',
            id="which-pod",
        ),
        pytest.param(
            "dial tcp: lookup r on 10.0.0.1:53: read udp 10.0.0.9:41000->10.0.0.1:53: i/o timeout",
            "dial tcp: lookup r on 10.0.0.1:53: read udp 10.0.0.9:52000->10.0.0.1:53: i/o timeout",
            id="ports",
        ),
    ],
)
def test_what_changes_without_a_meaning_is_left_out(one: str, other: str) -> None:
    assert steady(one) == steady(other)


IMAGE = "docker.io/library/a:1"
PULL = f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": {{}}'
NO_HOST = 'failed to do request: Head "https://r/v2/library/a/manifests/1": dial tcp: lookup r: no such host'


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        pytest.param(PULL.format(NO_HOST), f"{IMAGE}: {NO_HOST}", id="tried"),
        pytest.param(
            f'Back-off pulling image "a:1": ErrImagePull: {PULL.format(NO_HOST)}', f"{IMAGE}: {NO_HOST}", id="waiting"
        ),
        pytest.param(
            f"rpc error: code = NotFound desc = {PULL.format('docker.io/library/a:1: not found')}",
            "docker.io/library/a:1: not found",
            id="not-found",
        ),
        pytest.param('Back-off pulling image "a:1"', "a:1: it is being pulled again", id="an-older-kubelet"),
        pytest.param("pull QPS exceeded", "pull QPS exceeded", id="in-no-known-words"),
        pytest.param(" \n", "it is being pulled again", id="in-no-words"),
    ],
)
def test_an_image_that_does_not_come_is_named_with_its_cause_at_every_stage(message: str, cause: str) -> None:
    assert unpulled(message) == cause


def test_an_endless_image_name_does_not_hide_why_it_does_not_come() -> None:
    assert unpulled(f'failed to pull and unpack image "{"a" * 900}": no such host').endswith("no such host")


def test_what_has_a_meaning_stays() -> None:
    text = steady(f'Error creating: pods "bp-q-1-x" is forbidden: {QUOTA.format(9)}')
    assert text == "its pod is forbidden: exceeded quota: few, requested: pods=1, limited: pods=10"


def test_a_sentence_is_bounded_and_escaped() -> None:
    assert len(steady("x" * 10**6)) == LIMIT
    assert steady("\x1b[31m") == "\\x1b[31m"


@pytest.mark.parametrize(
    ("message", "kind", "reasons"),
    [
        pytest.param(
            "0/5 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, "
            "4 Insufficient cpu. no new claims to deallocate, preemption: 0/5 nodes are available: 5 No preemption "
            "victims found for incoming pod.",
            "resources",
            "Insufficient cpu; node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }",
            id="resources",
        ),
        pytest.param(
            "0/2 nodes are available: 1 node(s) had untolerated taint {a: b}, 1 node(s) didn't match Pod's node "
            "affinity/selector.",
            "affinity",
            "node(s) didn't match Pod's node affinity/selector; node(s) had untolerated taint {a: b}",
            id="affinity",
        ),
        pytest.param("0/1 nodes are available: 1 node(s) had untolerated taint {a: b}.", "taint",
                     "node(s) had untolerated taint {a: b}", id="taint"),
        pytest.param('0/1 nodes are available: persistentvolumeclaim "c" not found.', "volume",
                     'persistentvolumeclaim "c" not found', id="volume"),
        pytest.param("no nodes available to schedule pods", "", "no nodes available to schedule pods", id="no-nodes"),
        pytest.param("", "", "", id="silence"),
    ],
)  # fmt: skip
def test_why_no_node_takes_a_pod_has_a_class_and_no_numbers(message: str, kind: str, reasons: str) -> None:
    assert unscheduled(message) == (kind, reasons)


def test_more_nodes_of_the_same_kind_say_the_same() -> None:
    one = "0/5 nodes are available: 2 node(s) had untolerated taint {a: b}, 3 Insufficient memory."
    other = "0/90 nodes are available: 85 Insufficient memory, 5 node(s) had untolerated taint {a: b}."
    assert unscheduled(one) == unscheduled(other)


@pytest.mark.parametrize(
    ("message", "code", "configuration"),
    [
        ("exceeded quota: few, requested: pods=1", "quota", False),
        ('failed calling webhook "x": timeout', "webhook-away", False),
        ('admission webhook "x" denied the request: no', "denied", True),
        ("ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no", "denied", True),
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true', "pod-security", True),
        ('serviceaccount "r" not found', "service-account", True),
        ("unable to create new content in namespace ns because it is being terminated", "namespace-terminating", True),
        ("pods is forbidden: maximum memory usage per Container is 64Mi, but limit is 1Gi", "refused-spec", True),
    ],
)
def test_a_refusal_is_known_by_its_words(message: str, code: str, configuration: bool) -> None:
    refusal = refusal_of(message)
    assert refusal is not None
    assert (refusal.code, refusal.configuration) == (code, configuration)


def test_words_that_nobody_knows_are_no_refusal() -> None:
    assert refusal_of("the moon is full") is None
