"""A processor that plays its payload: a list of steps, each [name, argument...]. For tests of the runner only."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pyoxigraph as ox

from bullpen_processors.api import (
    Context,
    Quads,
    Report,
    Resource,
    Result,
    SettingsError,
    StoreAnswer,
    UnusableInputError,
    UpdateText,
)


class OwnError(Exception):
    """An exception of the processor's author."""


class Played:
    """Plays steps; the last `return` (or an exception) counts."""

    def process(self, payload: Any, context: Context) -> Result:
        """Play."""
        play = _Play(context)
        for name, *arguments in payload["steps"]:
            getattr(play, name)(*arguments)
        result: Result = play.result
        return result


class _Play:
    def __init__(self, context: Context) -> None:
        self._report: Report = context.report
        self._context = context
        self.result: Any = Result({"name": context.job_name})

    def value(self, value: Any) -> None:
        self.result = Result(value)

    def strange(self, which: str) -> None:
        self.result = Result(STRANGE[which]())

    def no_result(self) -> None:
        self.result = {"not": "a Result"}

    def settings(self) -> None:
        self.result = Result(dict(self._context.settings))

    def modules(self, names: list[str]) -> None:
        self.result = Result([name for name in names if name in sys.modules])

    def environment(self) -> None:
        self.result = Result(sorted(name for name in os.environ if "BULLPEN" in name))

    def update(self, text: str) -> None:
        self.result = Result("written", UpdateText(text))

    def answered(self, text: str) -> None:
        self.result = Result(write=UpdateText(text), finish=lambda answer: {"status": answer.status})

    def finish_raises(self, text: str) -> None:
        def finish(_answer: StoreAnswer) -> Any:
            raise OwnError("the answer was not to my liking")

        self.result = Result(write=UpdateText(text), finish=finish)

    def finish_only(self) -> None:
        self.result = Result(finish=lambda answer: answer.status)

    def quads(self, count: int) -> None:
        node = ox.NamedNode("urn:s")
        graph = ox.NamedNode("urn:g")
        quads = [ox.Quad(node, ox.NamedNode("urn:p"), ox.Literal(f"é {n}"), graph) for n in range(count)]
        self.result = Result(count, Quads(quads, [Resource("urn:g", "urn:s")]))

    def findings(self, graph: str, numbers: list[int], text: str = "a") -> None:
        """Findings of five triples each: own ones, a node below, a link from what it is about."""
        name = ox.NamedNode(graph)
        quads, found = [], []
        for number in numbers:
            finding, below = ox.NamedNode(f"urn:finding:{number}"), ox.NamedNode(f"urn:finding:{number}:evidence")
            about = ox.NamedNode(f"urn:req:{number % 3}")
            quads.append(ox.Quad(finding, ox.NamedNode("urn:p:severity"), ox.Literal("LOW"), name))
            quads.append(ox.Quad(finding, ox.NamedNode("urn:p:text"), ox.Literal(text), name))
            quads.append(ox.Quad(finding, ox.NamedNode("urn:p:evidence"), below, name))
            quads.append(ox.Quad(below, ox.NamedNode("urn:p:at"), ox.Literal(number), name))
            quads.append(ox.Quad(about, ox.NamedNode("urn:p:hasFinding"), finding, name))
            found.append(Resource(graph, finding.value))
        self.result = Result(len(found), Quads(quads, findings=found))

    def rdflib_dataset(self, text: str) -> None:
        import rdflib  # noqa: PLC0415 - as a processor that uses it would

        dataset = rdflib.Dataset()
        for graph, subject in ((dataset, "urn:in:results"), (dataset.graph(rdflib.URIRef("urn:é")), "urn:in:é")):
            graph.add((rdflib.URIRef(subject), rdflib.URIRef("urn:p"), rdflib.Literal(text)))
        self.result = Result("written", dataset)

    def rdflib_blank(self) -> None:
        import rdflib  # noqa: PLC0415 - as a processor that uses it would

        graph = rdflib.Graph()
        graph.add((rdflib.BNode(), rdflib.URIRef("urn:p"), rdflib.Literal("x")))
        self.result = Result("written", graph)

    def write_of(self, value: Any) -> None:
        self.result = Result("written", value)

    def print(self, text: str) -> None:
        print(text)

    def complain(self, text: str) -> None:
        print(text, file=sys.stderr)

    def log_library(self, text: str) -> None:
        logging.getLogger("some.library").warning(text)

    def print_many(self, count: int, length: int) -> None:
        for number in range(count):
            print(f"{number} ".ljust(length, "x"))

    def progress(self, value: Any) -> None:
        self._report.progress(value)

    def progress_many(self, count: int) -> None:
        for number in range(count):
            self._report.progress(number * 100 / count)

    def log(self, line: str) -> None:
        self._report.log(line)

    def log_many(self, count: int) -> None:
        for number in range(count):
            self._report.log(f"line {number}")

    def touch(self, path: str) -> None:
        Path(path).write_text(str(os.getpid()))

    def stamp(self, path: str) -> None:
        Path(path).write_text(str(time.monotonic_ns()))

    def large_update(self, size: int) -> None:
        self.result = Result("written", UpdateText("INSERT DATA {} # " + "x" * size))

    def wait_for(self, path: str) -> None:
        while not Path(path).exists():
            time.sleep(0.005)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def regex(self) -> None:
        re.match(r"(a+)+$", "a" * 64 + "b")

    def child(self, path: str) -> None:
        process = subprocess.Popen(["sleep", "600"])
        Path(path).write_text(str(process.pid))

    def thread(self) -> None:
        threading.Thread(target=time.sleep, args=(600,)).start()

    def fail(self, text: str) -> None:
        raise OwnError(text)

    def fail_with_cause(self, secret: str) -> None:
        try:
            int(secret)
        except ValueError as error:
            raise OwnError("no number") from error

    def key_error(self, key: str) -> None:
        raise KeyError(key)

    def unusable(self, text: str) -> None:
        raise UnusableInputError(text)

    def wrong_settings(self, text: str) -> None:
        raise SettingsError(text)

    def grow(self) -> None:
        kept = []
        while True:
            kept.append(bytearray(4 << 20))

    def memory_error(self) -> None:
        raise MemoryError

    def recurse(self) -> None:
        self.recurse()

    def exit(self, code: int) -> None:
        sys.exit(code)

    def os_exit(self, code: int) -> None:
        os._exit(code)

    def kill(self, name: str) -> None:
        os.kill(os.getpid(), signal.Signals[name])
        time.sleep(600)


def _deep() -> Any:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    return value


def _circular() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


STRANGE: Final[dict[str, Callable[[], Any]]] = {
    "deep": _deep,
    "circular": _circular,
    "object": object,
    "set": lambda: {1},
    "nan": lambda: [float("nan"), float("inf"), {"a": float("-inf")}, 1.5],
    "surrogate": lambda: "\ud800é😀",
    "tuple": lambda: (1, "ü"),
    "large": lambda: "x" * 5_000,
}
