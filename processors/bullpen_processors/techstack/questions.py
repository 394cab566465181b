"""What a source of records is asked, and what it says. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bullpen_processors.ontoweb.javascript import well_formed
from bullpen_processors.techstack.matching import Asked
from bullpen_processors.techstack.records import Record


@dataclass(frozen=True, slots=True)
class Question:
    """All records about a product: by its CPE, or by words."""

    match_string: str = ""
    words: str = ""

    @classmethod
    def by_cpe(cls, asked: Asked) -> Question | None:
        """Ask for the product that the table has."""
        return cls(match_string=asked.product.match_string) if asked.product is not None else None

    @classmethod
    def by_words(cls, asked: Asked) -> Question:
        """Ask for what detectors call it: blanks and case do not count."""
        return cls(words=well_formed(" ".join(asked.name.casefold().split())))

    @property
    def key(self) -> str:
        """Name it in a cache."""
        return self.match_string or f"words:{self.words}"


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer could be had: one sentence says why."""

    reason: str


class Source(Protocol):
    """Where records come from."""

    def ask(self, questions: Sequence[Question]) -> Mapping[Question, Sequence[Record] | Failed]:
        """Answer each question; never raises."""
