"""`bullpen process`: run one processor on payloads from standard input, without Redis and without a store."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, BinaryIO, Final, NoReturn, TextIO

import typer

from bullpen_cli.written import NetworkUpdateError, RefusedWriteError, n_quads
from bullpen_processors import registry
from bullpen_processors.api import Context, Json, Processor, Result, StoreAnswer, UnusableInputError
from bullpen_runner.failure import reason_of
from bullpen_runner.outside import OneProcess, RunnerWeb, WireCommons
from bullpen_runner.values import PayloadError, check_size, dump_value

STORE_STATUS: Final = 204
"""What a processor is told that the store said: there is none, and every store says this when all is well."""

USAGE_ERROR: Final = 2


def process(
    name: Annotated[
        str | None, typer.Argument(help="Name of the processor: an entry point of bullpen.processors.")
    ] = None,
    batch: Annotated[
        bool, typer.Option("--batch", help="Read JSON lines; write one object a line, in the same order.")
    ] = False,
    settings: Annotated[
        str, typer.Option(help="Settings of the job type, as a JobQueue would give them.", metavar="JSON")
    ] = "{}",
    explain: Annotated[
        bool, typer.Option("--explain", help="Say on standard error what is not reported, and why (analysers).")
    ] = False,
    show: Annotated[bool, typer.Option("--list", help="List the processors with their packages, and exit.")] = False,
) -> None:
    """Run one processor on a payload from standard input: no Redis, no store, no cluster.

    techstack-analyze asks NVD over the network, with NVD_API_KEY if that is set;
    with the setting nvdMirror it reads a folder of feeds instead.

    The payload is the job's data as JSON. One object comes out, on one line:

    \b
      value   what the job would return (the store's answer being 204)
      nquads  what an empty store would hold after it: canonical N-Quads, sorted
      error   null, or {"kind", "message"}: "unrecoverable" fails a job at once,
              "failed" spends one of its attempts, "not-run" is an update that
              would read from the network (LOAD, SERVICE)

    What the processor logs and prints goes to standard error.

    \b
    Examples:
      bullpen process http-ingest < examples/traffic/vulpy.json
      bullpen process http-ingest < payload.json | jq -r '.nquads[]'
      echo '{"sparqlUpdate": "INSERT DATA { <urn:a> <urn:b> 1 }"}' | bullpen process sparql-update
      bullpen process --batch http-ingest < payloads.jsonl > results.jsonl
      bullpen process http-ingest --settings '{"ontEx": "http://example.org/onto"}' < payload.json
      bullpen process techstack-analyze --explain < payload.json
      bullpen process sast-analyze --explain < page.json | jq '.value.result.explained'
      bullpen process --list

    \b
    Exit code:
      0  every payload was processed
      1  at least one came to an error (with --batch the others are processed all the same)
      2  the command line is wrong, or there is no such processor; nothing was read
    """
    if show:
        _print_names()
    if name is None:
        _refuse(f"say which processor: {', '.join(registry.names())}")
    context = _context(name, _settings(settings) | ({"explain": True} if explain else {}))
    with _own_streams() as (payloads, results):
        processor = _load(name)
        bodies = (line.rstrip(b"\r\n") for line in payloads) if batch else iter([payloads.read()])
        clean = True
        for body in bodies:
            text, processed = _outcome(processor, body, context)
            results.write(text + "\n")
            results.flush()
            clean = clean and processed
    raise typer.Exit(0 if clean else 1)


def _context(name: str, settings: Mapping[str, Json]) -> Context:
    """Give a processor what a runner would; what jobs have in common is this process's own."""
    return Context(name, _ToStandardError(), settings, RunnerWeb(), WireCommons(OneProcess()))


class _ToStandardError:
    """`Report` for people at a terminal."""

    def progress(self, value: float | Mapping[str, Json]) -> None:
        """Print the progress."""
        print(f"progress: {value}", file=sys.stderr)

    def log(self, line: str) -> None:
        """Print the line."""
        print(line, file=sys.stderr)


def _outcome(processor: Processor, body: bytes, context: Context) -> tuple[str, bool]:
    """Return the line for one payload, and whether it was processed. Nothing that a processor does escapes."""
    try:
        result = processor.process(_payload(body), context)
        if not isinstance(result, Result):
            raise TypeError(f"the processor returned {type(result).__name__}, not a Result")
        lines = n_quads(result.write)
        value = result.finish(StoreAnswer(STORE_STATUS)) if result.finish else result.value
        return f'{{"value": {_ascii(dump_value(value))}, "nquads": {json.dumps(lines)}, "error": null}}', True
    except NetworkUpdateError as error:
        return _error("not-run", str(error)), False
    except (UnusableInputError, PayloadError, RefusedWriteError) as error:
        return _error("unrecoverable", reason_of(error)), False
    except SystemExit as error:
        return _error("failed", f"the processor called sys.exit({error.code!r})"), False
    except Exception as error:  # noqa: BLE001 - a processor may raise what it likes
        return _error("failed", reason_of(error)), False


def _payload(body: bytes) -> Json:
    """Read a payload; half a surrogate pair, which Node writes and reads, is left to the processor."""
    check_size(len(body))
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except PayloadError:
        raise
    except RecursionError:
        raise PayloadError("the payload is nested too deep") from None
    except json.JSONDecodeError as error:
        raise PayloadError(f"the payload is not JSON: {error.msg} at character {error.pos}") from None
    except UnicodeDecodeError as error:
        raise PayloadError(f"the payload is not UTF-8: byte {error.start}") from None
    except ValueError:  # an integer of more than 4,300 digits
        raise PayloadError("the payload holds a number that is too long") from None


def _refuse_constant(name: str) -> NoReturn:
    raise PayloadError(f"the payload is not JSON: it holds {name}")


def _error(kind: str, message: str) -> str:
    return json.dumps({"value": None, "nquads": [], "error": {"kind": kind, "message": message}})


def _ascii(value: str) -> str:
    """Escape JSON text so that any terminal and pipe carries it."""
    return value if value.isascii() else json.dumps(json.loads(value), separators=(",", ":"))


@contextmanager
def _own_streams() -> Iterator[tuple[BinaryIO, TextIO]]:
    """Give our input and output; a processor, and what it starts, sees an empty one and standard error instead."""
    sys.stdout.flush()
    kept = os.dup(0), os.dup(1)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.dup2(2, 1)
    os.close(empty)
    try:
        with (
            open(kept[0], "rb", closefd=False) as source,
            open(kept[1], "w", encoding="ascii", closefd=False) as target,
        ):
            yield source, target
    finally:
        sys.stdout.flush()
        for number, descriptor in enumerate(kept):
            os.dup2(descriptor, number)
            os.close(descriptor)


def _load(name: str) -> Processor:
    try:
        return registry.load(name)
    except registry.RegistryError as error:
        _refuse(str(error))


def _settings(text: str) -> dict[str, Any]:
    try:
        settings = json.loads(text)
    except (ValueError, RecursionError):
        settings = None
    if not isinstance(settings, dict):
        _refuse("--settings: expected a JSON object")
    return settings


def _print_names() -> NoReturn:
    for name, packages in registry.names().items():
        print(f"{name:<24}{', '.join(packages)}")
    raise typer.Exit(0)


def _refuse(sentence: str) -> NoReturn:
    print(f"bullpen process: {sentence}", file=sys.stderr)
    raise typer.Exit(USAGE_ERROR)
