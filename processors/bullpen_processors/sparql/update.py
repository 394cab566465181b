"""`sparql-update`: a producer's own SPARQL Update, sent to the graph store as it is."""

from __future__ import annotations

from bullpen_processors.api import Context, Json, Result, StoreAnswer, UnusableInputError, UpdateText
from bullpen_processors.ontoweb.javascript import member, truthy, well_formed


class SparqlUpdate:
    """Sends update text. Whether it is an update at all is for the store to say; it may be sent again (at least once).

    Whoever may add such jobs may change or drop the whole repository: that is what the job type is for.
    """

    def process(self, payload: Json, context: Context) -> Result:  # noqa: ARG002 - it has no settings
        """Return the text as the write; the value is the store's status."""
        text = member(payload, "sparqlUpdate")
        if not truthy(text):
            raise UnusableInputError("Missing sparqlUpdate")
        if not isinstance(text, str):
            raise UnusableInputError("Invalid sparqlUpdate: expected text")
        return Result(write=UpdateText(well_formed(text)), finish=_status)


def _status(answer: StoreAnswer) -> Json:
    return {"status": answer.status}
