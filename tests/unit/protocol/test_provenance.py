"""Records of attempts: names that follow from what they name, escaping that holds, a vocabulary that is declared."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pyoxigraph as ox
import pytest

from bullpen_protocol.n_triples import TEXT_LIMIT, literal
from bullpen_protocol.provenance import (
    NAMESPACE,
    AttemptOutcome,
    AttemptRecord,
    Term,
    attempt_iri,
    job_iri,
)
from contracts.graph_contract import HOSTILE
from support import ROOT

TOKEN = "bullpen/1f2e/0b7f6f0c-5f3a-4a51-9d2e-3c1f5d0b9a11"
UUID = TOKEN.rpartition("/")[2]
XSD = "http://www.w3.org/2001/XMLSchema#"
MINIMAL = AttemptRecord("bull", "http", "17", "http-resolver", 1_767_268_800_123, TOKEN, AttemptOutcome.COMPLETED)
FULL = AttemptRecord(
    "bull",
    "http",
    "17",
    "http-resolver",
    1_767_268_800_123,
    TOKEN,
    AttemptOutcome.FAILED,
    number=2,
    reason='it said "no" 😀',
    started_ms=1_767_268_801_000,
    ended_ms=1_767_268_802_500,
    image="registry/name:tag",
    image_digest="sha256:ab",
    payload_sha256="cd" * 32,
    memory_limit_bytes=536_870_912,
    cpu_limit=0.5,
    memory_peak_bytes=123,
    cpu_seconds=1.25,
    findings=12,
    previous_token="bullpen/1f2e/before#pod",
)
LIKE_JAVASCRIPT = {"a b": "a%20b", "é😀": "%C3%A9%F0%9F%98%80", "A-z_0.!~*'()": "A-z_0.!~*'()", ":/?#[]@&=+$,": None}


def parsed(triples: str) -> set[ox.Quad]:
    return set(ox.parse(triples, format=ox.RdfFormat.N_TRIPLES))


def loaded(record: AttemptRecord) -> set[ox.Quad]:
    """What a store makes of the lines in the attempt's graph: oxigraph keeps numbers and times by value."""
    store = ox.Store()
    store.load(record.n_triples(), format=ox.RdfFormat.N_TRIPLES, to_graph=ox.NamedNode(record.attempt))
    return set(store)


def stored(*updates: str) -> ox.Store:
    store = ox.Store()
    for update in updates:
        store.update(update)
    return store


def test_a_job_is_named_by_where_it_is_and_when_it_was_made() -> None:
    assert MINIMAL.job == "urn:bullpen:job:bull:http:17:1767268800123"


@pytest.mark.parametrize(("text", "encoded"), LIKE_JAVASCRIPT.items())
def test_parts_of_names_are_encoded_as_encodeuricomponent_does(text: str, encoded: str | None) -> None:
    expected = encoded or "".join(f"%{ord(character):02X}" for character in text)
    assert job_iri(text, text, text, 1) == f"urn:bullpen:job:{expected}:{expected}:{expected}:1"


def test_any_id_makes_a_name_of_its_own() -> None:
    ids = [*HOSTILE.values(), "\ud800", "\udc80", "\ufffd", "", "%3A", ":"]
    names = [job_iri("bull", "q", one, 0) for one in ids]
    assert len(set(names)) == len(ids)
    for name in names:
        assert ox.NamedNode(name).value == name
        assert name.isascii()


def test_an_attempt_has_one_name_under_all_its_fences() -> None:
    assert attempt_iri(TOKEN) == attempt_iri(f"{TOKEN}#pod") == f"urn:bullpen:attempt:{UUID}"


def test_a_record_says_what_is_known_and_nothing_else() -> None:
    job, attempt = f"<{MINIMAL.job}>", f"<{MINIMAL.attempt}>"
    a, prov = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>", "http://www.w3.org/ns/prov#"
    assert MINIMAL.n_triples() == (
        f"{attempt} {a} <{prov}Activity> .\n"
        f"{attempt} {a} <{NAMESPACE}Attempt> .\n"
        f"{attempt} <{NAMESPACE}ofJob> {job} .\n"
        f'{attempt} <{NAMESPACE}attemptNumber> "1"^^<{XSD}integer> .\n'
        f'{attempt} <{NAMESPACE}outcome> "completed" .\n'
        f"{job} {a} <{prov}Entity> .\n"
        f"{job} {a} <{NAMESPACE}Job> .\n"
        f'{job} <{NAMESPACE}prefix> "bull" .\n'
        f'{job} <{NAMESPACE}queue> "http" .\n'
        f'{job} <{NAMESPACE}jobId> "17" .\n'
        f'{job} <{NAMESPACE}jobName> "http-resolver" .\n'
        f'{job} <{NAMESPACE}addedAt> "2026-01-01T12:00:00.123Z"^^<{XSD}dateTime> .\n'
    )


def test_what_is_known_has_its_type() -> None:
    said = {quad.predicate.value.rpartition("#")[2]: quad.object for quad in parsed(FULL.n_triples())}
    assert said["startedAtTime"] == ox.Literal("2026-01-01T12:00:01.000Z", datatype=ox.NamedNode(f"{XSD}dateTime"))
    assert said["endedAtTime"] == ox.Literal("2026-01-01T12:00:02.500Z", datatype=ox.NamedNode(f"{XSD}dateTime"))
    assert said["memoryLimitBytes"] == ox.Literal(536_870_912)
    assert said["cpuLimit"] == ox.Literal("0.5", datatype=ox.NamedNode(f"{XSD}decimal"))
    assert said["reason"] == ox.Literal('it said "no" 😀')
    assert said["previousAttempt"] == ox.NamedNode("urn:bullpen:attempt:before")


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.0, "2.0"), (1e-9, "0.0"), (12_345_678.5, "12345678.5"), (1e-5, "0.00001")]
)
def test_seconds_are_decimals_without_an_exponent(seconds: float, text: str) -> None:
    record = dataclasses.replace(MINIMAL, cpu_seconds=seconds)
    assert f'cpuSeconds> "{text}"^^<{XSD}decimal> .' in record.n_triples()


@pytest.mark.parametrize("added_ms", [10**18, -(10**18)])
def test_a_time_that_no_datetime_holds_is_left_out(added_ms: int) -> None:
    record = dataclasses.replace(MINIMAL, added_ms=added_ms)
    assert "addedAt" not in record.n_triples()
    assert record.job.endswith(f":{added_ms}")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_itself_in_n_triples_and_in_an_update(text: str) -> None:
    record = dataclasses.replace(FULL, reason=text, job_id=text, job_name=text, queue=text, image=text)
    assert record.n_triples().isascii()
    triples = parsed(record.n_triples())
    assert sum(quad.object == ox.Literal(text) for quad in triples) == 5
    assert set(stored(record.insert_once())) == loaded(record)


@pytest.mark.parametrize(("text", "kept"), [("a\ud800b", "a\ufffdb"), ("\udcff", "\ufffd"), ("\ud83d\ude00", "😀")])
def test_half_a_surrogate_pair_is_replaced_and_a_whole_one_joined(text: str, kept: str) -> None:
    record = dataclasses.replace(MINIMAL, reason=text)
    assert ox.Literal(kept) in {quad.object for quad in parsed(record.n_triples())}


def test_text_is_bounded() -> None:
    assert literal("x" * 5_000) == f'"{"x" * (TEXT_LIMIT - 1)}\\u2026"'


def test_the_first_writer_of_a_record_wins() -> None:
    store = stored(FULL.insert_once())
    before = set(store)
    store.update(dataclasses.replace(FULL, outcome=AttemptOutcome.GIVEN_BACK, reason="another").insert_once())
    assert set(store) == before == loaded(FULL)


@pytest.mark.parametrize("record", [MINIMAL, FULL, dataclasses.replace(FULL, reason="\ud800é😀\x00", job_id="\udc80")])
def test_a_record_survives_the_outbox(record: AttemptRecord) -> None:
    text = record.to_json()
    assert text.isascii()
    assert AttemptRecord.from_json(text) == AttemptRecord.from_json(text.encode()) == record


def test_a_record_of_a_newer_version_is_read_as_far_as_it_is_understood() -> None:
    body = json.loads(FULL.to_json()) | {"colour": "blue"}
    assert AttemptRecord.from_json(json.dumps(body)) == FULL


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": "eaten"},
        {"number": "1"},
        {"number": True},
        {"reason": 1},
        {"cpu_limit": float("inf")},
        {"job_id": None},
    ],
)
def test_what_is_no_record_is_refused(change: dict[str, object]) -> None:
    body = json.loads(FULL.to_json()) | change
    with pytest.raises(ValueError, match=r"."):
        AttemptRecord.from_json(json.dumps(body))


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", "[" * 100_000, '{"prefix": "bull"}'])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        AttemptRecord.from_json(text)


def test_every_term_is_declared_with_a_label_and_a_comment_and_none_besides() -> None:
    quads = set(ox.parse(path=ROOT / "docs" / "bullpen.ttl"))
    rdfs = "http://www.w3.org/2000/01/rdf-schema#"
    for name in ("label", "comment"):
        described = {str(quad.subject) for quad in quads if quad.predicate.value == rdfs + name}
        assert described - {"<https://bullpen.dev/ns>"} == {term.node for term in Term}


def test_every_term_is_used() -> None:
    lines = FULL.n_triples() + FULL.link() + FULL.finding_links("<urn:f>", "<urn:g>")
    used = {
        term.value for quad in parsed(lines) for term in (quad.predicate, quad.object) if isinstance(term, ox.NamedNode)
    }
    assert {iri for iri in used if iri.startswith(NAMESPACE)} == {NAMESPACE + term for term in Term}


def test_it_is_cheap_to_import() -> None:
    code = "import sys, bullpen_protocol.provenance; sys.stdout.write(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pyoxigraph", "pydantic", "redis", "rdflib", "http.client", "asyncio"} & set(loaded)
