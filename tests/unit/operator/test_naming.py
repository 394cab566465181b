"""Names and labels: stable, distinct, and always allowed by Kubernetes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen_operator import naming

LABEL = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
ANY_TEXT = st.text(st.characters(codec=None), max_size=300)


@given(ANY_TEXT)
def test_any_text_becomes_an_allowed_label(text: str) -> None:
    value = naming.label_value(text)
    assert len(value) <= 63
    assert LABEL.fullmatch(value)


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_any_ids_give_a_name_with_room_for_the_pods_suffix(queue: str, job_id: str, token: str) -> None:
    name = naming.kube_job_name(queue, job_id, token)
    assert len(name) <= 57
    assert NAME.fullmatch(name)


@pytest.mark.parametrize("text", ["7", "a-b_c.D", "x" * 63, ""])
def test_what_a_label_may_hold_stays_as_it_is(text: str) -> None:
    assert naming.label_value(text) == text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("repeat:a:1", "repeat-a-1", id="a-colon-is-replaced"),
        pytest.param("repeat:a:1", "repeat/a/1", id="two-replaced-alike"),
        pytest.param("x" * 70, "x" * 71, id="cut"),
        pytest.param("-", "_", id="nothing-left"),
    ],
)
def test_distinct_texts_keep_distinct_labels(one: str, other: str) -> None:
    assert naming.label_value(one) != naming.label_value(other)


def test_the_same_claim_has_one_name_and_every_other_claim_another() -> None:
    claims = [("q", "1", "T1"), ("q", "1", "T2"), ("q", "2", "T1"), ("r", "1", "T1"), ("q1", "", "T1")]
    names = [naming.kube_job_name(*claim) for claim in claims]
    assert len(set(names)) == len(claims)
    assert naming.kube_job_name("q", "1", "T1") == names[0]
    assert names[0].startswith("bp-q-")


def test_an_installation_is_told_apart_by_cluster_namespace_and_name() -> None:
    ids = {naming.installation_id(*who) for who in [("c", "n", "j"), ("d", "n", "j"), ("c", "m", "j"), ("c", "n", "k")]}
    assert len(ids) == 4
    assert all(re.fullmatch(r"[0-9a-f]{16}", one) for one in ids)
