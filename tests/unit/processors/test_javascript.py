"""JSON values as JavaScript sees them; every expectation was printed by Node 20."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen_processors.ontoweb import javascript


@pytest.mark.parametrize(
    ("number", "text"),
    [
        pytest.param(10, "10", id="integer"),
        pytest.param(10.0, "10", id="integral-float"),
        pytest.param(9.8, "9.8", id="fraction"),
        pytest.param(-1.5, "-1.5", id="negative"),
        pytest.param(-0.0, "0", id="minus-zero"),
        pytest.param(1e21, "1e+21", id="first-with-exponent"),
        pytest.param(1e20, "100000000000000000000", id="last-without-exponent"),
        pytest.param(1e-6, "0.000001", id="last-small-without-exponent"),
        pytest.param(1e-7, "1e-7", id="first-small-with-exponent"),
        pytest.param(1.5e300, "1.5e+300", id="large"),
        pytest.param(5e-324, "5e-324", id="smallest"),
        pytest.param(12345678901234567890, "12345678901234567000", id="integer-beyond-doubles"),
        pytest.param(2**53 + 1, "9007199254740992", id="first-integer-that-doubles-lack"),
        pytest.param(10**400, "Infinity", id="integer-beyond-all-doubles"),
        pytest.param(-(10**400), "-Infinity", id="negative-beyond-all-doubles"),
        pytest.param(float("inf"), "Infinity", id="1e999-in-json"),
    ],
)
def test_numbers_are_written_as_node_writes_them(number: float, text: str) -> None:
    assert javascript.number_text(number) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("é 😀", "é 😀", id="text"),
        pytest.param(None, "null", id="null"),
        pytest.param(True, "true", id="true"),
        pytest.param(False, "false", id="false"),
        pytest.param({"a": 1}, "[object Object]", id="object"),
        pytest.param([], "", id="empty-list"),
        pytest.param([None], "", id="list-of-null"),
        pytest.param([[], []], ",", id="list-of-empty-lists"),
        pytest.param([1, [2, None, [3]], None, "x", {}, True], "1,2,,3,,x,[object Object],true", id="nested-list"),
    ],
)
def test_values_become_text_as_in_node(value: object, text: str) -> None:
    assert javascript.text(value) == text


def test_a_list_of_any_depth_becomes_text() -> None:
    deep: list[object] = ["x"]
    for _ in range(20_000):
        deep = [deep]
    assert javascript.text(deep) == "x"


@pytest.mark.parametrize("value", ["", 0, 0.0, -0.0, None, False])
def test_what_node_calls_falsy_counts_as_absent(value: object) -> None:
    assert not javascript.truthy(value)


@pytest.mark.parametrize("value", ["0", " ", [], {}, 1, -1.5, True])
def test_what_node_calls_truthy_counts_as_present(value: object) -> None:
    assert javascript.truthy(value)


def test_trim_takes_what_node_takes_and_leaves_what_python_would_take_too() -> None:
    assert javascript.trim("\ufeff\u00a0\t x \u2028\u3000\n") == "x"
    assert javascript.trim("\x1cx\x85") == "\x1cx\x85"


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        pytest.param("azAZ09-_.!~*'()", "azAZ09-_.!~*'()", id="left-alone"),
        pytest.param('a b/c?d#e%f:"<>', "a%20b%2Fc%3Fd%23e%25f%3A%22%3C%3E", id="escaped"),
        pytest.param("è😀", "%C3%A8%F0%9F%98%80", id="utf-8"),
        pytest.param("\ud800", "%EF%BF%BD", id="half-a-pair-where-node-raises"),
    ],
)
def test_components_are_encoded_as_in_node(text: str, encoded: str) -> None:
    assert javascript.encode_component(text) == encoded


@given(st.text(st.characters(codec=None)))
def test_well_formed_text_can_be_encoded_and_is_else_unchanged(text: str) -> None:
    mended = javascript.well_formed(text)
    mended.encode()
    assert len(mended) <= len(text)
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert mended == text
