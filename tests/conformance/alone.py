"""Run a recorded job through its processor alone: no queue, no runner, a store in memory. In milliseconds."""

from __future__ import annotations

from bullpen_processors import registry
from bullpen_processors.api import UnusableInputError, UpdateText
from bullpen_runner.graph_errors import Answer, error_of
from conformance.cases import Case, Outcome
from conformance.triples import Triples
from fakes.processing import Processed, process


def alone(case: Case) -> Outcome:
    """Return what one attempt comes to before a store that works."""
    triples = Triples(case.seed)
    try:
        processed = process(registry.load(case.job_name), case.data)
        _write(processed, triples)
    except UnusableInputError as error:
        return Outcome("failed", 1, reason=str(error))
    except SyntaxError as error:
        return Outcome("failed", 1, reason=str(error_of(Answer(400, "text/plain", str(error.msg).encode()), b"")))
    return Outcome("completed", 1, processed.value(), quads=triples.lines(exact=case.exact))


def _write(processed: Processed, triples: Triples) -> None:
    """Write to a store; nothing was there that the new quads replace."""
    write = processed.result.write
    if isinstance(write, UpdateText):
        triples.update(write.text)
    elif write is not None:
        triples.load("\n".join(processed.stored()))
