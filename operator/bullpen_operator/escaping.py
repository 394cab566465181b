"""Text that pods and clients wrote, made fit for logs, events and Redis: bounded, one line, nothing but printable."""

from __future__ import annotations

from typing import Final

SENTENCE_LIMIT: Final = 300
"""Characters of foreign text that a sentence of ours keeps."""


def safe(text: str, limit: int = SENTENCE_LIMIT) -> str:
    r"""Escape what is not printable (`\n`, `\x1b`, `\ud800`) and cut to *limit* characters, with an ellipsis.

    A backslash stays as it is: the result is for people, not to be read back.
    """
    kept = "".join(character if character.isprintable() else _escape(character) for character in text[: limit + 1])
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
