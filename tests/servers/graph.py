"""Graph stores for tests: the embedded one, `oxigraph serve`, RDF4J's server under Tomcat."""

from __future__ import annotations

import fcntl
import http.client
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from bullpen_operator.local.store import start_store
from bullpen_protocol.assignment import Assignment
from bullpen_runner.graph import GraphStore
from servers.redis import free_port
from support import ROOT, require

JARS: Final = ROOT / ".cache" / "rdf4j"
WAR: Final = "org.eclipse.rdf4j:rdf4j-http-server:4.1.3:war"
RUNNER: Final = "com.heroku:webapp-runner:9.0.89.0"
"""Tomcat 9 in one jar. RDF4J 4.1.3 is the last server that Maven Central holds as a war."""

SHACL_SHAPES: Final = "http://rdf4j.org/schema/rdf4j#SHACLShapeGraph"
START_S: Final = 120.0


@dataclass(frozen=True)
class GraphServer:
    """Where a store answers, and who may ask."""

    name: str
    query_url: str
    update_url: str | None = None
    """None: RDF4J's paths, so the query URL says it all."""
    username: str | None = None
    password: str | None = None

    def behind(self, netloc: str, scheme: str = "http") -> GraphServer:
        """Return the same store, seen through what listens at *netloc*."""

        def moved(url: str) -> str:
            return urlsplit(url)._replace(scheme=scheme, netloc=netloc).geturl()

        return replace(self, query_url=moved(self.query_url), update_url=self.update_url and moved(self.update_url))

    def assignment(self, **other: Any) -> Assignment:
        """What a runner would be told about it."""
        told = Assignment("redis://nowhere", "bull", "q", "1", "T", "uid", "any")
        known = {
            "graph_url": self.query_url,
            "graph_update_url": self.update_url,
            "graph_username": self.username,
            "graph_password": self.password,
        }
        return replace(told, **(known | other))

    def store(self, **other: Any) -> GraphStore:
        """A client, as the runner makes it."""
        return GraphStore.from_assignment(self.assignment(**other))

    def rows(self, query: str) -> list[dict[str, str]]:
        """Values of a SELECT, by a client that shares no code with the one under test."""
        body = self.ask(query, "application/sparql-results+json")
        bindings = json.loads(body)["results"]["bindings"]
        return [{name: term["value"] for name, term in row.items()} for row in bindings]

    def triples(self, graph: str) -> set[tuple[str, str, str]]:
        """Everything in a graph."""
        rows = self.rows(f"SELECT ?s ?p ?o {{ GRAPH <{graph}> {{ ?s ?p ?o }} }}")
        return {(row["s"], row["p"], row["o"]) for row in rows}

    def count(self, graph: str) -> int:
        """How many triples are in a graph."""
        return int(self.rows(f"SELECT (COUNT(*) AS ?n) {{ GRAPH <{graph}> {{ ?s ?p ?o }} }}")[0]["n"])

    def ask(self, query: str, accept: str) -> bytes:
        """Body of the answer to a query."""
        headers = {"Content-Type": "application/sparql-query; charset=utf-8", "Accept": accept}
        status, body = self.request("POST", self.query_url, query.encode(), headers)
        assert status == 200, body
        return body

    def request(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """One request, with the server's credentials."""
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        try:
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request(method, target, body, headers | self._authorization())
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _authorization(self) -> dict[str, str]:
        authorization = self.store().endpoint.authorization
        return {"Authorization": authorization} if authorization else {}


@contextmanager
def embedded(folder: Path) -> Iterator[GraphServer]:
    """Our own store."""
    store = start_store(folder)
    try:
        yield GraphServer("embedded", store.url)
    finally:
        store.stop()


@contextmanager
def oxigraph(folder: Path) -> Iterator[GraphServer]:
    """`oxigraph serve`: SPARQL 1.1 with other paths, no RDF4J, no passwords, no union as default graph."""
    program, port = require("oxigraph"), free_port()
    base = f"http://127.0.0.1:{port}"
    command = [program, "serve", "--location", str(folder), "--bind", f"127.0.0.1:{port}"]
    with _running(command, folder.parent / "oxigraph.log", f"{base}/query?query=ASK%7B%7D"):
        yield GraphServer("oxigraph", f"{base}/query", f"{base}/update")


@contextmanager
def rdf4j(
    folder: Path, username: str = "bullpen", password: str = "p:a ss", heap: str = "400m"
) -> Iterator[GraphServer]:
    """RDF4J's server under Tomcat with a password: the web layer that GraphDB is built on. Up in 8 s or more."""
    java, jars = require("java"), rdf4j_jars()
    port = free_port()
    base = f"http://127.0.0.1:{port}/rdf4j"
    command = [java, f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"]
    command += [f"-Dorg.eclipse.rdf4j.appdata.basedir={folder / 'data'}"]
    command += [
        "-jar",
        str(jars[1]),
        "--port",
        str(port),
        "--path",
        "/rdf4j",
        "--temp-directory",
        str(folder / "tomcat"),
    ]
    command += ["--enable-basic-auth", "--tomcat-users-location", str(_tomcat_users(folder, username, password))]
    with _running([*command, str(jars[0])], folder / "rdf4j.log", f"{base}/protocol"):
        yield GraphServer("rdf4j", f"{base}/repositories/none", None, username, password)


def rdf4j_repository(server: GraphServer, name: str, sail: str) -> GraphServer:
    """Make a repository; *sail* is its configuration in Turtle."""
    url = server.query_url.rpartition("/")[0] + f"/{name}"
    made = replace(server, query_url=url)
    status, body = made.request("PUT", url, repository_config(name, sail).encode(), {"Content-Type": "text/turtle"})
    assert status == 204, body
    return made


def repository_config(name: str, sail: str) -> str:
    """Configuration of a repository in Turtle."""
    return f"""
        @prefix rep: <http://www.openrdf.org/config/repository#> .
        @prefix sr: <http://www.openrdf.org/config/repository/sail#> .
        @prefix sail: <http://www.openrdf.org/config/sail#> .
        [] a rep:Repository ; rep:repositoryID "{name}" ;
           rep:repositoryImpl [ rep:repositoryType "openrdf:SailRepository" ; sr:sailImpl {sail} ] ."""


MEMORY: Final = '[ sail:sailType "openrdf:MemoryStore" ]'
NATIVE: Final = '[ sail:sailType "openrdf:NativeStore" ]'
SHACL: Final = f'[ sail:sailType "rdf4j:ShaclSail" ; sail:delegate {MEMORY} ]'


def rdf4j_jars() -> tuple[Path, Path]:
    """War and runner, from the cache or from Maven Central; one process fetches at a time."""
    jars = (JARS / "rdf4j-http-server-4.1.3.war", JARS / "webapp-runner-9.0.89.0.jar")
    JARS.mkdir(parents=True, exist_ok=True)
    with (JARS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for artifact, jar in zip((WAR, RUNNER), jars, strict=True):
            if not jar.exists():
                _fetch(require("mvn"), artifact, jar)
    return jars


def _fetch(mvn: str, artifact: str, jar: Path) -> None:
    draft = JARS / "draft"
    command = [mvn, "-q", "-B", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={draft}"]
    subprocess.run(command, check=True, timeout=300)
    (draft / jar.name).replace(jar)


def _tomcat_users(folder: Path, username: str, password: str) -> Path:
    users = folder / "users.xml"
    user = f'<user username="{username}" password="{password}" roles="user"/>'
    users.write_text(f'<tomcat-users><role rolename="user"/>{user}</tomcat-users>', encoding="utf-8")
    return users


@contextmanager
def _running(command: list[str], log: Path, url: str) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=log.parent)
    try:
        _await_answer(process, log, url)
        yield
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(log.parent / "tomcat", ignore_errors=True)


def _await_answer(process: subprocess.Popen[bytes], log: Path, url: str) -> None:
    parts = urlsplit(url)
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection(parts.netloc, timeout=5)
        try:
            connection.request("GET", f"{parts.path}?{parts.query}")
            if connection.getresponse().status in {200, 401}:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.1)
    raise AssertionError(f"{url} did not answer:\n{log.read_text(errors='replace')[-2000:]}")
