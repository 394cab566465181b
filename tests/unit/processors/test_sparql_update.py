"""sparql-update: the producer's text goes out as it came, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from bullpen_processors.api import UnusableInputError, UpdateText
from bullpen_processors.sparql.update import SparqlUpdate
from fakes.processing import process


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('INSERT DATA { <urn:a> <urn:p> "é 😀" }', id="plain"),
        pytest.param('\n\t  INSERT DATA { <urn:a> <urn:p> "1" }  \n', id="blanks-around"),
        pytest.param("SELECT * WHERE { ?s ?p ?o }", id="no-update-is-for-the-store-to-say"),
        pytest.param("DROP ALL", id="drop-all"),
        pytest.param(" ", id="blank"),
    ],
)
def test_the_text_is_sent_as_it_is(text: str) -> None:
    processed = process(SparqlUpdate(), {"sparqlUpdate": text, "more": 1})
    assert processed.result.write == UpdateText(text)


def test_half_a_surrogate_pair_is_sent_as_the_replacement_that_node_sends() -> None:
    processed = process(SparqlUpdate(), {"sparqlUpdate": "# \ud800"})
    assert processed.result.write == UpdateText("# \ufffd")


@pytest.mark.parametrize("status", [200, 204])
def test_the_value_is_the_status_of_the_store(status: int) -> None:
    assert process(SparqlUpdate(), {"sparqlUpdate": "x"}).value(status) == {"status": status}


@pytest.mark.parametrize("data", [None, "text", 5, [], {}, {"sparqlUpdate": ""}, {"sparqlUpdate": 0}, {"foo": "bar"}])
def test_a_missing_update_is_refused(data: Any) -> None:
    with pytest.raises(UnusableInputError, match=r"^Missing sparqlUpdate$"):
        process(SparqlUpdate(), data)


@pytest.mark.parametrize("text", [5, True, ["INSERT DATA {}"], [], {}])
def test_an_update_that_is_no_text_is_refused_before_any_store_is_asked(text: Any) -> None:
    with pytest.raises(UnusableInputError, match=r"^Invalid sparqlUpdate: expected text$"):
        process(SparqlUpdate(), {"sparqlUpdate": text})
