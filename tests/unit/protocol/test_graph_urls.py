from __future__ import annotations

import pytest

from bullpen_protocol.graph_urls import query_url, update_url


@pytest.mark.parametrize(
    ("url", "queries", "updates"),
    [
        ("http://s/repositories/r", "http://s/repositories/r", "http://s/repositories/r/statements"),
        ("http://s/x/repositories/r/", "http://s/x/repositories/r/", "http://s/x/repositories/r/statements"),
        ("http://s/repositories/r?a=1", "http://s/repositories/r?a=1", "http://s/repositories/r/statements?a=1"),
        ("http://s/repositories/r/statements", "http://s/repositories/r", "http://s/repositories/r/statements"),
        ("http://s/query", "http://s/query", None),
        ("http://s/query?x=/repositories/r", "http://s/query?x=/repositories/r", None),
    ],
)
def test_a_repository_says_it_all(url: str, queries: str, updates: str | None) -> None:
    assert (query_url(url), update_url(url)) == (queries, updates)
