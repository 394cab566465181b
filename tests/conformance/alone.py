"""Run a recorded job through its processor alone: no queue, no runner, a store in memory. In milliseconds."""

from __future__ import annotations

from bullpen_processors import registry
from bullpen_processors.api import UnusableInputError
from bullpen_runner.graph_errors import Answer, error_of
from bullpen_runner.graph_update import prepare
from conformance.cases import Case, Outcome
from conformance.triples import Triples
from fakes.processing import process


def alone(case: Case) -> Outcome:
    """Return what one attempt comes to before a store that works."""
    triples = Triples(case.seed)
    update = b""
    try:
        processed = process(registry.load(case.job_name), case.data)
        if processed.result.write is not None:
            update = prepare(processed.result.write).whole().one_body()
            triples.update(update.decode())
    except UnusableInputError as error:
        return Outcome("failed", 1, reason=str(error))
    except SyntaxError as error:
        return Outcome("failed", 1, reason=str(error_of(Answer(400, "text/plain", str(error.msg).encode()), update)))
    return Outcome("completed", 1, processed.value(), quads=triples.lines(exact=case.exact))
