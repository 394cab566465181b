"""Whatever a producer or NVD sends: a job completes, or is refused in one sentence; what it writes can be written."""

from __future__ import annotations

import json
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from bullpen_processors.api import StoreAnswer, UnusableInputError, WebAnswer
from bullpen_processors.techstack.analyze import TechstackAnalyze
from bullpen_runner.graph_update import prepare
from bullpen_runner.values import dump_value
from conformance.techstack import adds_up
from fakes.nvd import cpe, record
from fakes.outside import outside

_ODD: Final = (
    *("nginx", "PHP", "1.18.0", "\ud800", "Lax", "no_restriction", "https://a.test/", "http://[bad", ".co.uk", "HSTS"),
    *("csp", "__Host-x", "default-src *;;,,", "max-age=5", "cpe:2.3:a:f5:nginx:1.18.0:*:*:*:*:*:*:*"),
)
_TEXTS: Final = st.one_of(st.text(max_size=20), st.sampled_from(_ODD))
_VALUES: Final = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), _TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_TEXTS, inner, max_size=3)),
    max_leaves=5,
)
_NAMES: Final = (
    *("name", "version", "header", "description", "urls", "value"),
    *("domain", "path", "secure", "httpOnly", "sameSite", "expirationDate"),
)
_ENTRIES: Final = st.lists(st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=8), max_size=4)
_PAYLOADS: Final = st.fixed_dictionaries(
    {"technologies": _ENTRIES},
    optional={
        "waf": st.one_of(_ENTRIES, _VALUES), "secureHeaders": st.one_of(_ENTRIES, _VALUES),
        "cookies": st.one_of(_ENTRIES, _VALUES), "mainDomain": _VALUES,
    },
)  # fmt: skip


@given(_PAYLOADS, st.lists(_VALUES, max_size=3))
@settings(max_examples=150, deadline=None)
def test_any_payload_and_any_records_come_to_an_end(payload: Any, odd: list[Any]) -> None:
    nginx: Any = record("CVE-2024-1", "nginx 1.18.0", cpe("f5", "nginx", "1.18.0"))
    for place, value in zip(("metrics", "configurations", "descriptions"), odd, strict=False):
        nginx["cve"][place] = value
    body = json.dumps({"totalResults": 1, "vulnerabilities": [nginx, *odd]}).encode()
    played = outside(lambda _query: WebAnswer(200, body), explain=True)
    try:
        result = TechstackAnalyze().process(payload, played.context)
    except UnusableInputError:
        return
    assert result.write is not None
    prepare(result.write).whole().one_body()
    value = result.finish(StoreAnswer(204)) if result.finish else result.value
    dump_value(value)
    assert adds_up(value["result"])
    "".join(played.report.lines).encode()
