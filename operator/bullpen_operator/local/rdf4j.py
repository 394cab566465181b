"""The REST protocol of RDF4J servers, which GraphDB speaks too, over a pyoxigraph Store.

https://rdf4j.org/documentation/reference/rest-api/ without transactions, namespaces and the making of repositories.
One difference stays: in an update, a pattern without GRAPH sees the default graph only, where RDF4J's sees all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, TypeAlias

import pyoxigraph as ox

from bullpen_operator.local.rdf_http import (
    DATASETS,
    FORM,
    RESULTS,
    TRIPLES,
    Reply,
    Request,
    RequestError,
    filled,
    term_of,
)

PROTOCOL_VERSION: Final = "12"
"""What RDF4J 4 answers to GET /protocol."""

Context: TypeAlias = ox.NamedNode | ox.BlankNode | ox.DefaultGraph

_DATASET_OF_UPDATE: Final = frozenset(
    {"using-graph-uri", "using-named-graph-uri", "insert-graph-uri", "remove-graph-uri"}
)
_NOT_KEYWORDS: Final = re.compile(
    r'"""(?:[^"\\]|\\.|""?(?!"))*"""' + r"|'''(?:[^'\\]|\\.|''?(?!'))*'''"
    r'|"(?:[^"\\\n]|\\.)*"' + r"|'(?:[^'\\\n]|\\.)*'" + r"|<[^<>\s]*>|\#[^\n]*",
    re.DOTALL,
)
_FROM: Final = re.compile(r"\bFROM\b", re.IGNORECASE)
_ABSENT: Final = re.compile(r"The graph <(.*)> does not exist")


@dataclass(frozen=True, slots=True)
class Rdf4j:
    """One repository under its paths. Thread-safe, as the store is; `committed` is called after each write."""

    store: ox.Store
    repository: str
    committed: Callable[[], None] = lambda: None

    def answer(self, request: Request) -> Reply:
        """Carry out a request; every error becomes a reply."""
        try:
            return self._route(request)
        except RequestError as error:
            return Reply.of_text(error.status, str(error))
        except (SyntaxError, ValueError, TypeError) as error:
            return Reply.of_text(400, f"MALFORMED REQUEST: {error}")
        except (OSError, RuntimeError) as error:
            return Reply.of_text(500, str(error))

    def _route(self, request: Request) -> Reply:
        match request.path.strip("/").split("/"):
            case ["protocol"]:
                return Reply.of_text(200, PROTOCOL_VERSION)
            case ["repositories"]:
                return self._repositories(request)
            case ["repositories", name, *rest] if name == self.repository:
                return self._act(request, "/".join(rest))
            case ["repositories", name, *_]:
                raise RequestError(404, f"Unknown repository: {name[:100]} (there is {self.repository})")
        raise RequestError(404, f"no such path; the repository is at /repositories/{self.repository}")

    def _act(self, request: Request, path: str) -> Reply:
        actions: dict[str, dict[str, Callable[[Request], Reply]]] = {
            "": {"GET": self._query, "POST": self._query},
            "size": {"GET": self._size},
            "contexts": {"GET": self._contexts},
            "statements": {"GET": self._read, "POST": self._add, "PUT": self._replace, "DELETE": self._delete},
        }
        actions["rdf-graphs/service"] = actions["statements"]
        if path not in actions:
            raise RequestError(404, f"no such path under /repositories/{self.repository}")
        action = actions[path].get("GET" if request.method == "HEAD" else request.method)
        if action is None:
            raise RequestError(405, f"{request.method[:20]} is not possible here")
        return action(request)

    def _query(self, request: Request) -> Reply:
        parameters = request.parameters()
        text = (
            request.text if request.media_type == "application/sparql-query" else "".join(parameters.get("query", ()))
        )
        if not text:
            raise RequestError(400, "Missing parameter: query")
        default: list[Context] = [ox.NamedNode(iri) for iri in parameters.get("default-graph-uri", ())]
        named: list[ox.NamedNode | ox.BlankNode] = [ox.NamedNode(iri) for iri in parameters.get("named-graph-uri", ())]
        # pyoxigraph would let the union win over FROM
        union = not default and not named and not _FROM.search(_NOT_KEYWORDS.sub(" ", text))
        bindings = {ox.Variable(name[1:]): term_of(values[0]) for name, values in parameters.items() if name[0] == "$"}
        result = self.store.query(
            text,
            use_default_graph_as_union=union,
            default_graph=default or None,
            named_graphs=named or None,
            substitutions=bindings or None,
        )
        return _reply_of_query(request, result)

    def _repositories(self, request: Request) -> Reply:
        base = f"http://{request.headers.get('host', 'localhost')}/repositories/{self.repository}"
        row = " ".join(str(ox.Literal(text)) for text in (self.repository, "the embedded triplestore", True, True))
        rows = f"SELECT * {{ VALUES (?uri ?id ?title ?readable ?writable) {{ ({ox.NamedNode(base)} {row}) }} }}"
        return _reply_of_query(request, self.store.query(rows))

    def _size(self, request: Request) -> Reply:
        everything = not _contexts_of(request)
        return Reply.of_text(200, str(len(self.store) if everything else sum(1 for _ in self._quads(request))))

    def _contexts(self, request: Request) -> Reply:
        # a graph that was emptied stays known to the store, but is no context to RDF4J
        filled = [g for g in self.store.named_graphs() if any(self.store.quads_for_pattern(None, None, None, g))]
        rows = " ".join(str(graph) for graph in filled if isinstance(graph, ox.NamedNode))
        return _reply_of_query(request, self.store.query(f"SELECT ?contextID {{ VALUES ?contextID {{ {rows} }} }}"))

    def _read(self, request: Request) -> Reply:
        form = request.choose(DATASETS | TRIPLES)
        return _reply_of_quads(form, self._quads(request))

    def _quads(self, request: Request) -> Iterator[ox.Quad]:
        subject, predicate, value = (_optional_term(request, name) for name in ("subj", "pred", "obj"))
        graphs: Sequence[Context | None] = _contexts_of(request) or [None]
        return chain.from_iterable(self.store.quads_for_pattern(subject, predicate, value, graph) for graph in graphs)

    def _add(self, request: Request) -> Reply:
        if request.media_type in {"application/sparql-update", FORM}:
            return self._update(request)
        self.store.extend(_quads_in(request))
        return self._done()

    def _update(self, request: Request) -> Reply:
        parameters = request.parameters()
        text = "".join(parameters.get("update", ())) if request.media_type == FORM else request.text
        if not text:
            raise RequestError(400, "Missing parameter: update")
        if unknown := _DATASET_OF_UPDATE & parameters.keys():
            raise RequestError(400, f"not supported here: {', '.join(sorted(unknown))}; name the graphs in the update")
        self._run(text)
        return self._done()

    def _run(self, update: str) -> None:
        """Run an update, all or nothing; a graph that is not there counts as an empty one, as in RDF4J."""
        made: set[str] = set()
        while True:
            try:
                return self.store.update(update)
            except RuntimeError as error:
                absent = _ABSENT.fullmatch(str(error))
                if absent is None or absent[1] in made:
                    raise
                made.add(absent[1])
                self.store.add_graph(ox.NamedNode(absent[1]))

    def _replace(self, request: Request) -> Reply:
        clears = [_clear(context) for context in _contexts_of(request)] or ["CLEAR ALL"]
        blocks = "\n".join(map(_block, _quads_in(request)))
        self._run(" ;\n".join([*clears, f"INSERT DATA {{\n{blocks}\n}}"]))
        return self._done()

    def _delete(self, request: Request) -> Reply:
        terms = [_optional_term(request, name) for name in ("subj", "pred", "obj")]
        if any(isinstance(term, ox.BlankNode) for term in terms):
            raise RequestError(400, "a blank node cannot be named from outside")
        triple = " ".join(str(term or f"?{name}") for name, term in zip("spo", terms, strict=True))
        contexts = _contexts_of(request)
        patterns = [_in_graph(triple, context) for context in contexts] or [triple, f"GRAPH ?g {{ {triple} }}"]
        self._run(" ;\n".join(f"DELETE {{ {pattern} }} WHERE {{ {pattern} }}" for pattern in patterns))
        return self._done()

    def _done(self) -> Reply:
        self.committed()
        return Reply(204)


def _reply_of_query(request: Request, result: ox.QuerySolutions | ox.QueryBoolean | ox.QueryTriples) -> Reply:
    if isinstance(result, ox.QueryTriples):
        form = request.choose(TRIPLES | DATASETS)
        return _reply_of_quads(form, (ox.Quad(t.subject, t.predicate, t.object) for t in result))
    results = request.choose(RESULTS)
    return Reply(200, results.media_type, filled(lambda body: result.serialize(body, results)))


def _reply_of_quads(form: ox.RdfFormat, quads: Iterable[ox.Quad]) -> Reply:
    statements = quads if form.supports_datasets else (quad.triple for quad in quads)
    body = filled(lambda body: ox.serialize(statements, body, form))
    return Reply(200, f"{form.media_type}; charset=utf-8", body)


def _quads_in(request: Request) -> Iterator[ox.Quad]:
    """Parse a body; its blank nodes are its own, whatever they are called."""
    base = request.parameters().get("baseURI", ("",))[0].strip("<>") or None
    quads = ox.parse(request.body, format=request.rdf_format(), base_iri=base, rename_blank_nodes=True)
    contexts = _contexts_of(request)
    if not contexts:
        return iter(quads)
    return (ox.Quad(quad.subject, quad.predicate, quad.object, context) for quad in quads for context in contexts)


def _contexts_of(request: Request) -> list[Context]:
    """Return the graphs that a request names; none: all of them."""
    parameters = request.parameters()
    if not request.path.rstrip("/").endswith("/service"):
        return [_context(text) for text in parameters.get("context", ())]
    if "default" in parameters:
        return [ox.DefaultGraph()]
    if "graph" not in parameters:
        raise RequestError(400, "Missing parameter: graph or default")
    return [ox.NamedNode(parameters["graph"][0])]


def _context(text: str) -> Context:
    if text == "null":
        return ox.DefaultGraph()
    term = term_of(text)
    if not isinstance(term, ox.NamedNode | ox.BlankNode):
        raise RequestError(400, "a context is an IRI in angle brackets, a blank node or null")
    return term


def _optional_term(request: Request, name: str) -> Any:
    values = request.parameters().get(name)
    return term_of(values[0]) if values else None


def _clear(context: Context) -> str:
    return "CLEAR DEFAULT" if isinstance(context, ox.DefaultGraph) else f"CLEAR SILENT GRAPH {context}"


def _block(quad: ox.Quad) -> str:
    return _in_graph(f"{quad.subject} {quad.predicate} {quad.object} .", quad.graph_name)


def _in_graph(pattern: str, context: Context) -> str:
    return pattern if isinstance(context, ox.DefaultGraph) else f"GRAPH {context} {{ {pattern} }}"
