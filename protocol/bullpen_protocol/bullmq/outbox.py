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


def outbox_put(keys: Keys, iri: str, record: str) -> Operation[bool]:
    """Keep *record* under *iri*, which begins with FIELD_PREFIX; False: one is kept already, and it stays.

    Of two that come at once either may stay. (HSETNX would be a command more that a user has to be allowed.)
    """
    if (yield read("HGET", keys(OUTBOX), iri)) is not None:
        return False
    yield Command(("HSET", keys(OUTBOX), iri, record), again=True)
    return True


def outbox_records(keys: Keys) -> Operation[dict[str, str]]:
    """Read the records by IRI: a few for each attempt that runs at once, since nothing is claimed while they wait."""
    fields: dict[str, str] = yield read("HGETALL", keys(OUTBOX))
    return {iri: record for iri, record in fields.items() if iri.startswith(FIELD_PREFIX)}


def outbox_remove(keys: Keys, iri: str) -> Operation[None]:
    """Let go of a record; none there is fine."""
    yield Command(("HDEL", keys(OUTBOX), iri), again=True)
