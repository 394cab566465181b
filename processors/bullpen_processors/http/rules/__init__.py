"""The rules of `http-resolver`, a module per family.

To add one, write it into the RULES of its family, with its examples; a new family is added to the list below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bullpen_processors.http.rule import Rule
from bullpen_processors.http.rules import (
    cors,
    disclosure,
    hardening,
    mixed_content,
    redirects,
    scripting,
    session,
    sql,
    transport,
    traversal,
    url_secrets,
)

RULES: Final[Sequence[Rule]] = (
    *transport.RULES,
    *cors.RULES,
    *mixed_content.RULES,
    *session.RULES,
    *url_secrets.RULES,
    *disclosure.RULES,
    *sql.RULES,
    *scripting.RULES,
    *traversal.RULES,
    *redirects.RULES,
    *hardening.RULES,
)
"""In the order in which the findings of a request come."""
