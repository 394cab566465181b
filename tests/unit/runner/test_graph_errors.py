"""What a store's answer means and how it is said."""

from __future__ import annotations

import json

import pytest

from bullpen_runner.graph_errors import (
    Answer,
    StoreAccessError,
    StoreAwayError,
    StoreError,
    StoreFaultError,
    StoreRefusedError,
    error_of,
)

SECRET = "4111-1111-1111-1111 is my card number"
SENT = f'INSERT DATA {{ <urn:a> <urn:p> "{SECRET}" }} # caf\\u00E9 au lait, s\'il vous pla\\u00EEt'.encode()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *[(status, StoreRefusedError) for status in (400, 406, 409, 413, 415, 422)],
        *[(status, StoreAccessError) for status in (301, 307, 401, 403, 404, 405)],
        *[(status, StoreAwayError) for status in (408, 429, 502, 503, 504)],
        *[(status, StoreFaultError) for status in (500, 501, 507, 599)],
    ],
)
def test_a_status_says_whose_fault_it_is(status: int, kind: type[StoreError]) -> None:
    error = error_of(Answer(status), b"")
    assert type(error) is kind
    assert f"it answered {status}" in str(error)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(b"", "400 Bad Request", id="nothing"),
        pytest.param(b"MALFORMED\n QUERY.", "400 Bad Request: MALFORMED QUERY", id="text"),
        pytest.param(json.dumps({"message": "no such prefix", "query": "x"}).encode(), "no such prefix", id="message"),
        pytest.param(b'{"error": "odd"}', '400 Bad Request: {"error": "odd"}', id="json-without-message"),
        pytest.param(b"<html><b>error</b>", "400 Bad Request", id="a-page"),
        pytest.param(b"\xff\xfe \x1b[31m", "400 Bad Request: \N{REPLACEMENT CHARACTER}" * 1, id="bytes"),
    ],
)
def test_the_stores_own_words_are_handed_on(body: bytes, said: str) -> None:
    assert said in str(error_of(Answer(400, "", body), SENT))


def test_long_words_are_cut() -> None:
    assert len(str(error_of(Answer(400, "", b"x y" * 10_000), b""))) < 400


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(f'Lexical error after "{SECRET}" at line 1', "Lexical error after…at line 1", id="literal"),
        pytest.param(SENT.decode(), "…", id="whole-query"),
        pytest.param("near café au lait, s'il vous plaît: what?", "near…: what?", id="escaped-when-it-was-sent"),
        pytest.param("Not a valid IRI: urn:a", "Not a valid IRI: urn:a", id="short-echo"),
    ],
)
def test_what_a_store_echoes_of_the_request_is_left_out(body: str, said: str) -> None:
    message = str(error_of(Answer(400, "", body.encode()), SENT)).partition("Bad Request: ")[2]
    assert "".join(message.split()) == "".join(said.split())


REPORT = """
    @prefix sh: <http://www.w3.org/ns/shacl#> .
    [] a sh:ValidationReport ; sh:result [ sh:sourceConstraintComponent sh:MinCountConstraintComponent ;
        sh:resultPath <urn:path> ; sh:focusNode <urn:focus> ; sh:value "a secret" ] .
"""


@pytest.mark.parametrize("rest", ["", "<urn:cut> <urn:off"], ids=["whole", "cut-off"])
@pytest.mark.parametrize("suffix", ["turtle", "nonsense"])
def test_a_validation_report_is_said_in_one_clause(rest: str, suffix: str) -> None:
    answer = Answer(409, f"application/shacl-validation-report+{suffix};charset=UTF-8", (REPORT + rest).encode())
    expected = "409 Conflict: 1 SHACL violation(s), first MinCountConstraintComponent of <urn:path> at <urn:focus>"
    assert str(error_of(answer, SENT)).endswith(expected)


def test_a_validation_report_that_cannot_be_read_is_named_as_one() -> None:
    answer = Answer(409, "application/shacl-validation-report+turtle", b"garbage")
    assert str(error_of(answer, SENT)).endswith("the results break its SHACL shapes")
