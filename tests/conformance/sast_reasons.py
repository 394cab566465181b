"""Why a finding of `sast-analyze` may be absent, new or shown otherwise than the original shows it. Pure.

    REASONS     at most six: what `--explain` says of a finding that only the original has
    MEANT       what is meant to be new or shown otherwise

A reason counts only for what it can be true of: for a flow or for a place, in markup or in a script.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from bullpen_processors.ontoweb.javascript import member
from conformance.difference import Difference

Judge = Callable[[Difference], bool]

_DOCUMENT: Final = "HTML Document"
_PLACES: Final = ("file", "contextVector", "htmlRef")
_ENDS: Final = (
    "sourceName",
    "sinkName",
    "sourceFile",
    "sinkFile",
    "sourceLoc",
    "sinkLoc",
    "sourceSnippet",
    "sinkSnippet",
)


def _absent(reason: str, of: Callable[[Any], bool]) -> Judge:
    return lambda difference: difference.what == "gone" and difference.ours == reason and of(difference.theirs)


def _is_place(finding: Any) -> bool:
    """Of a script, and no flow; that code is evaluated is never harmless."""
    return bool(finding["file"] != _DOCUMENT and finding["ruleId"] not in ("taint-flow", "no-eval"))


def _in_library(finding: Any) -> bool:
    return bool(finding["file"] != _DOCUMENT and finding["ruleId"] != "taint-flow")


def _in_markup(finding: Any) -> bool:
    return bool(finding["file"] == _DOCUMENT or finding["file"].startswith("inline-handler"))


def _has_address(finding: Any) -> bool:
    return finding["ruleId"] in ("form-external-action", "form-open-redirect")


def _is_flow(finding: Any) -> bool:
    return bool(finding["ruleId"] == "taint-flow")


# -- what is meant to be new, or shown otherwise


def severity(difference: Difference) -> bool:
    """A place without a known source is low, whatever the rule; a flow is high only where an attacker writes it."""
    if difference.what == "quads":
        return difference.rule == "severity"
    if difference.what != "changed" or difference.place[1] != "severity":
        return False
    return bool(difference.ours == ("medium" if difference.rule == "taint-flow" else "low"))


def own_place(difference: Difference) -> bool:
    """Scripts by their place in the payload, frames and forms by themselves; what follows from it in the graph."""
    if difference.what == "quads":
        return difference.rule in ("relatedToHTML", "contextIndex", "contextSrc", "contextOrigin", "sourceFile")
    if difference.what != "changed" or difference.place[1] not in _PLACES:
        return False
    return bool(difference.item[0]["contextVector"] != difference.item[1]["contextVector"])


def flow_ends(difference: Difference) -> bool:
    """Source and sink of the flow itself, stored at last."""
    if difference.what == "quads":
        return (
            difference.rule in ("sourceName", "sinkName", "sourceFile", "codeSnippet") and difference.ours is not None
        )
    return difference.what == "changed" and difference.rule == "taint-flow" and difference.place[1] in _ENDS


def snippet(difference: Difference) -> bool:
    """Lines as JavaScript counts them, at most a thousand characters."""
    if difference.what == "quads":
        return difference.rule == "codeSnippet"
    return difference.what == "changed" and difference.place[1] == "snippet" and 0 < len(difference.ours or "") <= 1000


def kind_of_sink(difference: Difference) -> bool:
    """What a flow does at its sink, not what its category's letters say."""
    return difference.what == "quads" and difference.rule == "aboutVulnerabilityType"


def form_stored(difference: Difference) -> bool:
    """Action and method of a form, which the original looks for under other names."""
    added = difference.what == "quads" and difference.ours and not difference.theirs
    return bool(added and difference.rule in ("formAction", "formMethod"))


def complete_at_last(difference: Difference) -> bool:
    """Findings of a page without scripts have an id, a place and a context; a page's address is text."""
    if difference.what != "changed" or difference.place[1] != "pageUrl":
        return False
    return not difference.theirs or isinstance(difference.theirs, dict)


def whole_page(difference: Difference) -> bool:
    """The original gives the page up: its first script does not parse, or a list is none."""
    return difference.what == "value" and difference.rule == "ok" and member(difference.theirs, "ok") is False


def found_at_last(difference: Difference) -> bool:
    """Flows through whatever JavaScript does, further sources, sinks and rules, scripts that the original skips."""
    return difference.what == "new"


_FLOWS: Final = "unit/processors/test_sast_flows.py::"
_VALUE: Final = "unit/processors/test_sast_analyze.py::"
_EXPLAINED: Final = f"{_VALUE}test_explaining_says_what_was_seen_and_why_it_is_none"
_HARMLESS: Final = f"{_FLOWS}test_a_value_that_does_not_arrive_or_does_no_harm_is_no_flow"
REASONS: Final[Sequence[tuple[str, str, str, Judge]]] = (
    ("constant argument", "JUDGEMENT 19", _EXPLAINED, _absent("constant argument", _is_place)),
    ("harmless value", "JUDGEMENT 19", _EXPLAINED, _absent("harmless value", _is_place)),
    ("library code", "JUDGEMENT 19", _EXPLAINED, _absent("library code", _in_library)),
    ("comment or dead text", "JUDGEMENT 17", _EXPLAINED, _absent("comment or dead text", _in_markup)),
    ("same site", "JUDGEMENT 19", _EXPLAINED, _absent("same site", _has_address)),
    ("no flow", "JUDGEMENT 13", _HARMLESS, _absent("no flow", _is_flow)),
)
"""Name, number, test and judge. The names are those that `--explain` says."""
MEANT: Final[Sequence[tuple[str, str, str, Judge]]] = (
    ("severity says who writes the value", "JUDGEMENT 19", f"{_FLOWS}test_severity_says_who_writes_the_value",
     severity),
    ("a script is named by its place", "I8",
     f"{_VALUE}test_a_script_is_named_by_its_place_in_the_payload_whatever_its_id_counts", own_place),
    ("the ends of a flow", "JUDGEMENT 17", f"{_VALUE}test_triples_are_those_of_the_api", flow_ends),
    ("a snippet is short", "JUDGEMENT 19", f"{_VALUE}test_snippets_of_a_bundle_in_one_line_are_short", snippet),
    ("the kind comes from the sink", "I13", f"{_VALUE}test_triples_are_those_of_the_api", kind_of_sink),
    ("a form's action and method are stored", "I5", f"{_VALUE}test_triples_are_those_of_the_api", form_stored),
    ("a page that is analysed in spite of one script", "JUDGEMENT 14",
     f"{_FLOWS}test_code_that_does_not_parse_is_reported_and_hides_nothing", whole_page),
    ("a page without scripts has complete findings", "I7", f"{_VALUE}test_the_value_is_the_one_that_clients_read",
     complete_at_last),
    ("a flaw that is found at last", "JUDGEMENT 11", f"{_FLOWS}test_a_value_is_followed", found_at_last),
)  # fmt: skip
