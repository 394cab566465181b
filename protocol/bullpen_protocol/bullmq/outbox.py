"""The outbox of a queue: records of ended attempts, kept in Redis until the graph store has accepted them.

One hash beside BullMQ's own keys, IRI of the attempt -> JSON; Redis removes it with its last field.
"""

from __future__ import annotations

from typing import Final

from bullpen_protocol.bullmq.keys import Keys
from bullpen_protocol.bullmq.steps import Command, Operation, read

OUTBOX: Final = "bullpen:outbox"
FIELD_PREFIX: Final = "urn:bullpen:attempt:"
"""Fields of ours. A job whose id is `bullpen:outbox` has its hash in the same place: its fields are not touched."""
_PAGE: Final = 100


def outbox_put(keys: Keys, iri: str, record: str) -> Operation[bool]:
    """Keep *record* under *iri*, which begins with FIELD_PREFIX; False: one is kept already, and it stays."""
    added: int = yield Command(("HSETNX", keys(OUTBOX), iri, record), again=True)
    return bool(added)


def outbox_page(keys: Keys, cursor: int = 0) -> Operation[tuple[int, dict[str, str]]]:
    """Read about a hundred records from *cursor* on: the next cursor, 0 at the end, and the records by IRI.

    What is there from the first page to the last is read at least once.
    """
    following, fields = yield read("HSCAN", keys(OUTBOX), cursor, "MATCH", f"{FIELD_PREFIX}*", "COUNT", _PAGE)
    return int(following), dict(fields)


def outbox_remove(keys: Keys, iri: str) -> Operation[None]:
    """Let go of a record; none there is fine."""
    yield Command(("HDEL", keys(OUTBOX), iri), again=True)
