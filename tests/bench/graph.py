"""`make bench-graph`: what the runner's way of writing findings costs, beside a bare POST of the same bytes.

Each write is made by a process of its own, as in a pod: the runner's way (quads -> update, with provenance, over the
pipe of the child, checked and sent) and a bare `http.client` POST of the very bytes that the runner's way sends. Both
write to the same store, in turn within one run, so this machine's speed cancels out of the ratio. The last column posts
the findings alone as N-Quads, without replacing anything and without provenance: what a careless writer would do.

    graph.py [ROUNDS] [STORE...]     3 rounds; embedded, oxigraph, rdf4j
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

SIZES: Final = (10, 1_000, 10_000)
TARGET: Final = 1.3
EX: Final = "http://localhost/onto/ontowebpt#"
GRAPH: Final = "http://localhost/graphs/findings"
WAYS: Final = ("runner", "bare", "n-quads")
TEXTS: Final = {
    "findingDescription": "The response tells the software of the server and its version",
    "findingCategory": "Data Exposure",
    "findingRuleId": "server-fingerprint",
    "severity": "LOW",
    "owaspCategory": "A05:2021 Security Misconfiguration",
    "remediation": "Leave out the header, or its version.",
    "requestUrl": "https://example.org/a/page?with=parameters",
    "httpMethod": "GET",
}


def findings(size: int, batch: int) -> Any:
    """About 15 triples for each, in the shape that OntoWeb-PT's readers expect; other IRIs for each batch."""
    import pyoxigraph as ox  # noqa: PLC0415 - in the process that is measured

    from bullpen_processors.api import Quads, Resource  # noqa: PLC0415

    def ex(name: str) -> ox.NamedNode:
        return ox.NamedNode(EX + name)

    kind, graph = ox.NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#type"), ox.NamedNode(GRAPH)
    quads, found = [], []
    for number in range(size):
        finding = ox.NamedNode(f"urn:finding:server-fingerprint%3Areq-{batch}-{number}")
        request = ox.NamedNode(f"urn:req:{batch}-{number // 4}")
        triples: list[Any] = [(finding, kind, ex("Finding")), (finding, kind, ex("HttpFinding"))]
        triples += [(finding, ex(name), ox.Literal(text)) for name, text in TEXTS.items()]
        triples += [(finding, ex("detectedByResolver"), ex("HttpResolverInstance"))]
        triples += [(finding, ex("aboutVulnerabilityType"), ex("UnknownVulnerabilityType"))]
        triples += [(finding, ex("httpFindingOfRequest"), request), (finding, ex("relatedToHTTP"), request)]
        triples += [(request, ex("hasHttpFinding"), finding)]
        quads += [ox.Quad(subject, predicate, value, graph) for subject, predicate, value in triples]
        found.append(Resource(GRAPH, finding.value))
    return Quads(quads, findings=found)


# -- in the process that is measured


class Clock:
    """Seconds, and seconds of this process's own."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def took(self) -> dict[str, float]:
        return {"s": time.perf_counter() - self._began[0], "cpu": time.process_time() - self._began[1]}


def runner_way(told: dict[str, Any]) -> dict[str, float]:
    """Write as a runner does; the quads are there already, they are the processor's work."""
    from bullpen_protocol.assignment import Assignment  # noqa: PLC0415
    from bullpen_protocol.provenance import AttemptOutcome, AttemptRecord  # noqa: PLC0415
    from bullpen_runner.graph import GraphStore  # noqa: PLC0415
    from bullpen_runner.graph_update import prepare  # noqa: PLC0415
    from bullpen_runner.graph_write import PreparedWrite  # noqa: PLC0415

    write = findings(told["size"], told["batch"])
    store = GraphStore.from_assignment(Assignment(**told["assignment"]))
    clock = Clock()
    prepared = PreparedWrite.from_bytes(prepare(write).to_bytes())
    about = AttemptRecord(
        "bull", "http", str(told["batch"]), "http-resolver", 1, f"bullpen/bench/{told['batch']}",
        AttemptOutcome.COMPLETED, started_ms=1, ended_ms=2, findings=len(prepared.findings),
    )  # fmt: skip
    store.write(prepared, 300.0, about=about)
    return clock.took() | {"bytes": prepared.size}


def bare_way(told: dict[str, Any]) -> dict[str, float]:
    """Send the requests in *told*'s file, one after the other, and nothing else."""
    requests = [(line["headers"], Path(line["body"]).read_bytes()) for line in told["requests"]]
    parts = urlsplit(told["url"])
    clock = Clock()
    for headers, body in requests:
        connection = http.client.HTTPConnection(parts.netloc, timeout=300)
        connection.request("POST", parts.path, body, headers)
        answer = connection.getresponse()
        assert answer.status < 300, answer.read()[:500]
        answer.read()
        connection.close()
    return clock.took() | {"bytes": sum(len(body) for _, body in requests)}


def measured(told: dict[str, Any]) -> None:
    """Do one write and print what it took."""
    figures = (runner_way if told["way"] == "runner" else bare_way)(told)
    from bullpen_runner.usage import of_this_process  # noqa: PLC0415 - after what is measured

    sys.stdout.write(json.dumps(figures | {"mb": of_this_process().memory_bytes / 1e6}))


# -- in the process that measures


def same_bytes(server: Any, size: int, batch: int, folder: Path, way: str) -> list[dict[str, Any]]:
    """Lay down the bodies that the runner's way would send for *batch*, or the findings alone as N-Quads."""
    from bullpen_protocol.provenance import AttemptOutcome, AttemptRecord  # noqa: PLC0415
    from bullpen_runner.graph import UPDATE  # noqa: PLC0415
    from bullpen_runner.graph_update import prepare  # noqa: PLC0415

    prepared = prepare(findings(size, batch))
    about = AttemptRecord(
        "bull", "http", str(batch), "http-resolver", 1, f"bullpen/bench/{batch}", AttemptOutcome.COMPLETED,
        started_ms=1, ended_ms=2, findings=size,
    )  # fmt: skip
    if way == "n-quads":
        bodies, media_type = [b"".join(part.n_quads() for part in prepared.parts)], "application/n-quads"
    else:
        chunked = prepared.is_large and server.name != "rdf4j"
        bodies = list(prepared.chunks(about)) if chunked else [prepared.whole(about).one_body()]
        media_type = UPDATE
    requests = []
    for number, body in enumerate(bodies):
        path = folder / f"{way}-{number}"
        path.write_bytes(body)
        authorization = server.store().endpoint.authorization
        headers = {"Content-Type": media_type} | ({"Authorization": authorization} if authorization else {})
        requests.append({"headers": headers, "body": str(path)})
    return requests


def one(server: Any, way: str, size: int, batch: int, folder: Path) -> dict[str, float]:
    """Measure one write in a process of its own."""
    told: dict[str, Any] = {"way": way, "size": size, "batch": batch}
    if way == "runner":
        known = server.assignment()
        fields = ("redis_url", "prefix", "queue", "job_id", "token", "pod_uid", "processor")
        fields += ("graph_url", "graph_update_url", "graph_username", "graph_password")  # type: ignore[assignment]
        told["assignment"] = {name: getattr(known, name) for name in fields}
    else:
        told["requests"] = same_bytes(server, size, batch, folder, way)
        update = server.store().endpoint.url.geturl()
        told["url"] = update.replace("/update", "/store") if way == "n-quads" and server.update_url else update
    command = [sys.executable, __file__, "--measured", json.dumps(told)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@contextmanager
def started(name: str, folder: Path) -> Iterator[Any]:
    """Start a store."""
    from servers import graph  # noqa: PLC0415 - not in the processes that are measured

    if name == "rdf4j":
        # one body of 28 MB, which only the bare POST sends, runs the 400 MB of the tests' Java out of memory
        with graph.rdf4j(folder, heap="1500m") as tomcat:
            yield graph.rdf4j_repository(tomcat, "bench", graph.MEMORY)
    else:
        kinds: dict[str, Callable[[Path], Any]] = {"embedded": graph.embedded, "oxigraph": graph.oxigraph}
        with kinds[name](folder / "data") as server:
            yield server


def row(name: str, server: Any, size: int, rounds: int, folder: Path) -> bool:
    """Measure one size on one store, print its line; whether the ratio is within the target."""
    took: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for number in range(rounds if size > SIZES[0] else 5 * rounds):  # a few milliseconds each
        for place in range(len(WAYS)):
            way = WAYS[(place + number) % len(WAYS)]  # each of them is the first one at times
            took[way].append(one(server, way, size, size * 1_000 + number * 10 + place, folder))
    best = {way: min(took[way], key=lambda one: one["s"]) for way in WAYS}
    ratio = best["runner"]["s"] / best["bare"]["s"]
    mine, bare, lines = best["runner"], best["bare"], best["n-quads"]
    print(
        f"{name:9} {size:7,} {mine['bytes'] / 1e6:7.2f} {mine['s'] * 1000:9.0f} {bare['s'] * 1000:9.0f} {ratio:6.2f}"
        f" {mine['cpu'] * 1000:7.0f} {bare['cpu'] * 1000:7.0f} {mine['mb']:7.0f} {bare['mb']:7.0f}"
        f" {lines['s'] * 1000:9.0f}",
        flush=True,
    )
    return ratio <= TARGET


def main(arguments: list[str]) -> int:
    """Measure and print."""
    if arguments[:1] == ["--measured"]:
        measured(json.loads(arguments[1]))
        return 0
    rounds = int(arguments[0]) if arguments else 3
    print("                          runner      bare         CPU ms of the    MB of the   N-Quads")
    print("store    findings      MB        ms        ms  ratio  runner    bare  runner    bare        ms")
    within = True
    for name in arguments[1:] or ("embedded", "oxigraph", "rdf4j"):
        with tempfile.TemporaryDirectory() as folder, started(name, Path(folder)) as server:
            one(server, "runner", 10, 0, Path(folder))
            for size in SIZES:
                within = row(name, server, size, rounds, Path(folder)) and within
    print(f"target: ratio <= {TARGET:g}; best of {rounds}, since what others do on the machine only adds")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
