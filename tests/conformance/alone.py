"""Run a recorded job through its processor alone: no queue, no runner, a store in memory. In milliseconds."""

from __future__ import annotations

from collections.abc import Mapping

from bullpen_processors import registry
from bullpen_processors.api import NoAnswerError, UnusableInputError, UpdateText, WebAnswer
from bullpen_runner.graph_errors import Answer, error_of
from conformance.cases import Case, Outcome, nvd_items
from conformance.nvd import troubles
from conformance.sast import SAST
from conformance.triples import Triples
from fakes.nvd import FakeNvd
from fakes.outside import Answer as NvdAnswer
from fakes.outside import outside
from fakes.processing import Processed


def alone(case: Case) -> Outcome:
    """Return what one attempt comes to before a store that works."""
    triples = Triples(case.seed)
    try:
        played = outside(_nvd(case), explain=case.job_name == SAST)
        processed = Processed(registry.load(case.job_name).process(case.data, played.context), played.report)
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


def _nvd(case: Case) -> NvdAnswer:
    """Return NVD without a port: the records that the original was given, and what it met instead of them."""
    nvd = FakeNvd(nvd_items(), troubles=troubles(case), window_s=0.0)

    def answer(query: Mapping[str, str]) -> WebAnswer | Exception:
        came = nvd.take(dict(query), nvd.key)
        return WebAnswer(came.status, came.body) if came.status else NoAnswerError("the connection broke")

    return answer
