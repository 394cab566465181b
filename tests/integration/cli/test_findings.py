"""`bullpen findings` and `bullpen why` over the embedded store, `oxigraph serve`, and RDF4J under Tomcat."""

from __future__ import annotations

import base64
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import rdflib

from bullpen_cli.found import BULLPEN, ONTOLOGY
from fakes.findings import CSP, FINDINGS, INPUT, ODD, OLD, OWN, SQL, fill
from servers import graph
from servers.command import Bullpen
from servers.graph import GraphServer

EX = f"{ONTOLOGY}#"
NOBODY = "http://127.0.0.1:1/"


@contextmanager
def rdf4j(folder: Path) -> Iterator[GraphServer]:
    folder.mkdir()
    with graph.rdf4j(folder) as server:
        yield graph.rdf4j_repository(server, "findings", graph.MEMORY)


STORES: dict[str, Callable[[Path], object]] = {"embedded": graph.embedded, "oxigraph": graph.oxigraph, "rdf4j": rdf4j}


@pytest.fixture(scope="module", params=STORES)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphServer]:
    """A store with the findings of two jobs in it."""
    with STORES[request.param](tmp_path_factory.mktemp("graph") / "store") as server:  # type: ignore[attr-defined]
        fill(server)
        yield server


@pytest.fixture
def bullpen(tmp_path: Path, store: GraphServer) -> Bullpen:
    login = {"BULLPEN_GRAPH_USERNAME": store.username, "BULLPEN_GRAPH_PASSWORD": store.password}
    known = {name: value for name, value in login.items() if value is not None}
    return Bullpen(tmp_path, {"BULLPEN_GRAPH_URL": store.query_url, **known})


def test_all_findings_are_listed_the_gravest_first(bullpen: Bullpen) -> None:
    told = bullpen("findings", "--json").json
    assert [row["finding"] for row in told] == [SQL, CSP, ODD, OLD, OWN]
    assert told[0] == {
        "finding": SQL,
        "severity": "HIGH",
        "rule": "sql-injection-pattern",
        "text": "SQL in a parameter: é 😀",
        "category": "Injection",
        "where": "http://shop.example/cart?id=1",
        "jobs": ["http-requests/7"],
    }
    assert [row["jobs"] for row in told[1:]] == [
        ["http-requests/7", "http-requests/8"], ["http-requests/8"], [], ["http-requests/8"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("--severity", "medium"), [CSP]),
        (("--rule", "é😀"), [ODD]),
        (("--rule", 'é😀" } } #'), []),
        (("--job", "http-requests/7"), [SQL, CSP]),
        (("--job", "http-requests/8", "--severity", "LOW"), [ODD]),
        (("--job", "http-requests/9"), []),
        (("--ontology", "http://other.example/onto"), [CSP, ODD, SQL, OWN]),
    ],
)
def test_findings_are_chosen_by_severity_rule_and_job(
    arguments: tuple[str, ...], found: list[str], bullpen: Bullpen
) -> None:
    told = bullpen("findings", *arguments, "--json").json
    assert sorted(row["finding"] for row in told) == sorted(found)


def test_a_table_shows_what_a_terminal_can_and_iris_whole(bullpen: Bullpen) -> None:
    said = bullpen("findings", "--limit", "3")
    lines = said.out.splitlines()
    assert lines[0].split() == ["severity", "rule", "where", "text", "job", "finding"]
    assert [line.split()[-1] for line in lines[1:]] == [SQL, CSP, ODD]
    assert "SQL in a parameter: é 😀" in lines[1]
    assert "\\x1b[31mred\\x07" in lines[3]
    assert "\x1b" not in said.out
    assert said.err == "bullpen findings: these are the first 3; show more with --limit\n"


def test_turtle_is_a_graph_that_rdflib_reads_and_no_terminal_obeys(bullpen: Bullpen) -> None:
    said = bullpen("findings", "--format", "turtle")
    assert not {"\x1b", "\x07"} & set(said.out)
    read = rdflib.Graph().parse(data=said.out, format="turtle")
    texts = {
        str(finding): str(text) for finding, text in read.subject_objects(rdflib.URIRef(f"{EX}findingDescription"))
    }
    assert texts[SQL] == "SQL in a parameter: é 😀"
    assert texts[ODD] == "\x1b[31mred\x07"
    assert set(map(str, read.subjects(rdflib.URIRef(f"{BULLPEN}outcome")))) == {
        "urn:bullpen:attempt:a1",
        "urn:bullpen:attempt:b2",
    }
    assert f"<{ODD}>" in said.out
    assert "ex:findingRuleId" in said.out


def test_why_names_job_image_input_and_time(bullpen: Bullpen) -> None:
    said = bullpen("why", SQL)
    assert said.code == 0
    assert said.out.splitlines()[0] == (
        f"Finding {SQL} was found by job 7 of queue http-requests (http-resolver) in attempt 1 that ended "
        f"2026-11-26T07:00:05Z, with image registry.example/http-resolver:1.4, from the input with SHA-256 {INPUT}."
    )


@pytest.mark.parametrize("how", [CSP, f"<{CSP}>", "http:missing-csp:req-1"])
def test_why_tells_how_often_and_the_latest_first(how: str, bullpen: Bullpen) -> None:
    told = bullpen("why", how, "--json").json
    assert told["why"].startswith(f"Finding {CSP} was found by 2 jobs, the last one job 8 of queue http-requests (")
    assert [(job["job"], job["attemptNumber"], job["outcome"]) for job in told["jobs"]] == [
        ("http-requests/8", "2", "completed"),
        ("http-requests/7", "1", "completed"),
    ]
    assert told["jobs"][0]["payloadSha256"] == INPUT
    assert told["jobs"][0]["imageDigest"] == "sha256:aa"


def test_why_of_what_another_wrote_and_of_nothing_are_negative_answers(bullpen: Bullpen) -> None:
    old = bullpen("why", OLD)
    assert (old.code, old.err) == (1, "")
    assert old.out.startswith(f"Finding {OLD} is in the graph store, but no job of Bullpen's names it: ")
    nothing = bullpen("why", "é😀 > } #\x1b")
    assert (nothing.code, nothing.out) == (1, "")
    assert nothing.err == "There is no finding é😀 > } #\\x1b in the graph store.\n"


def test_a_finding_that_only_its_links_tell_of_has_its_job(bullpen: Bullpen) -> None:
    told = bullpen("why", OWN, "--json").json
    assert (told["text"], [job["job"] for job in told["jobs"]]) == ("a leak", ["http-requests/8"])


def test_the_store_of_the_state_folder_is_asked_while_it_runs(tmp_path: Path) -> None:
    with graph.embedded(tmp_path / ".bullpen" / "store") as server:
        fill(server)
        assert len(Bullpen(tmp_path)("findings", "--json").json) == 5
    said = Bullpen(tmp_path)("findings")
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        "bullpen findings: which graph store? None runs in the state folder .bullpen: "
        "give --graph-url (or BULLPEN_GRAPH_URL), or start `bullpen local`\n"
    )


def test_queries_go_to_the_query_url_if_there_is_one(tmp_path: Path) -> None:
    with graph.oxigraph(tmp_path / "store") as server:
        fill(server)
        said = Bullpen(tmp_path)(
            "findings", "--graph-url", "http://127.0.0.1:1/", "--graph-query-url", server.query_url
        )
    assert said.code == 0
    assert SQL in said.out


class Odd(http.server.BaseHTTPRequestHandler):
    """Answers with its path: /302, /200, /503 ..."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append(dict(self.headers))  # type: ignore[attr-defined]
        self.send_response(int(self.path[1:]))
        self.send_header("Location", "/200")
        self.end_headers()
        self.wfile.write(b"say \x1b[2J no" if self.path != "/200" else b"<html>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def odd() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Odd) as server:
        server.seen = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("302", "the URL or credentials of the graph store are wrong: it answered 302: say  [2J no"),
        ("401", "the URL or credentials of the graph store are wrong: it answered 401: say  [2J no"),
        ("400", "the graph store refused the query: it answered 400: say  [2J no"),
        ("503", "the graph store refused the query: it answered 503: say  [2J no"),
        ("200", "what answers at the URL of the graph store is no SPARQL store"),
    ],
)
def test_a_store_that_says_no_is_one_sentence(
    path: str, says: str, odd: http.server.ThreadingHTTPServer, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{odd.server_port}/{path}"
    login = {"BULLPEN_GRAPH_USERNAME": "é", "BULLPEN_GRAPH_PASSWORD": "p:😀"}
    said = Bullpen(tmp_path, login)("findings", "--graph-url", url)
    assert (said.code, said.out) == (2, "")
    assert " ".join(said.err.split()) == " ".join(f"bullpen findings: {says}".split())
    [headers] = odd.seen  # type: ignore[attr-defined]  # credentials follow no redirect
    assert headers["Content-Type"] == "application/sparql-query; charset=utf-8"
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode() == "é:p:😀"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("findings", "--job", "7"), "--job: expected QUEUE/ID, such as http-requests/7, got '7'"),
        (("findings", "--graph-url", "http://u:p@h/"), "the URL of the graph store holds credentials; set BULLPEN"),
        (("findings", "--graph-url", "ftp://h/"), "the URL of the graph store is not an http:// or https:// URL"),
        (("findings", "--graph-url", NOBODY), "the graph store gave no answer: it refused the connection"),
        (("why", "x", "--ontology", "no iri", "--graph-url", NOBODY), "'no iri#severity' is not an absolute IRI"),
    ],
)
def test_what_can_t_be_asked_is_one_sentence(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    said = Bullpen(tmp_path)(*arguments)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"bullpen {arguments[0]}: {says}")
    assert said.err.count("\n") == 1


def test_the_data_of_these_tests_lies_in_its_graph(store: GraphServer) -> None:
    assert store.count(FINDINGS) == 4 * 7
    assert json.dumps(store.rows(f"SELECT ?o {{ GRAPH ?g {{ <{SQL}> <{EX}findingDescription> ?o }} }}")[0]["o"]) == (
        json.dumps("SQL in a parameter: é 😀")
    )
