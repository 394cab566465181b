"""NVD's CVE API 2.0, over the ports of a Context: its rate limit holds for all jobs, and they share the answers.

Source: NVD, "Vulnerability APIs" and "Start Here" (rate limits, resultsPerPage, apiKey).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode, urlsplit

from bullpen_processors.api import Context, Json, NoAnswerError, SettingsError, WebAnswer
from bullpen_processors.ontoweb.javascript import is_number, items, member
from bullpen_processors.techstack.packing import pack, unpack
from bullpen_processors.techstack.questions import Failed, Question
from bullpen_processors.techstack.records import Record, records, trimmed

URL: Final = "https://services.nvd.nist.gov/rest/json/cves/2.0"
NOTICE: Final = "This product uses the NVD API but is not endorsed or certified by the NVD."
"""NVD's terms of use ask for it wherever its data is shown."""
KEY: Final = "NVD_API_KEY"

WINDOW_S: Final = 30.0
TURNS: Final = 5
TURNS_WITH_KEY: Final = 50
TIMEOUT_S: Final = 30.0
ANSWER_LIMIT: Final = 64 * 1024 * 1024
PAGE: Final = 500
"""Records of one answer: NVD gives up to 2,000, and takes as long as they are many."""
PAGES: Final = 20
WORDS_MOST: Final = 4 * PAGE
"""Records that a word may have and still mean something."""

TRIES: Final = 4
BACKOFF_S: Final = (2.0, 4.0, 8.0)
"""Where NVD names no time itself."""
LONGEST_WAIT_S: Final = 60.0
GIVE_UP_AFTER: Final = 3
"""Look-ups in a row that failed: the rest of the job asks no more."""
_AGAIN: Final = frozenset({403, 408, 429})
"""Besides 5xx. NVD throttles with 403 as well as 429."""

KEPT_S: Final = 24 * 3600.0
KEPT_EMPTY_S: Final = 6 * 3600.0
PATIENCE_S: Final = 480.0


class LookupFailedError(Exception):
    """A question stays without an answer; one sentence says why."""


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of the job type."""

    url: str = URL
    patience_s: float = PATIENCE_S
    """What all look-ups of one job may take together."""

    @classmethod
    def from_settings(cls, settings: Mapping[str, Json]) -> Options:
        """Read `nvdUrl` and `nvdPatienceSeconds`; raises SettingsError."""
        url, patience = settings.get("nvdUrl") or URL, settings.get("nvdPatienceSeconds") or PATIENCE_S
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise SettingsError(f"setting nvdUrl: expected an http:// or https:// URL such as {URL}")
        if not is_number(patience) or patience <= 0:
            raise SettingsError("setting nvdPatienceSeconds: expected a number above 0")
        return cls(url, patience)


class Nvd:
    """NVD as one job asks it."""

    def __init__(self, context: Context, options: Options) -> None:
        self._web, self._commons, self._report = context.web, context.commons, context.report
        self._now = context.now
        self._url = options.url
        self._until = context.now() + options.patience_s
        self._has_key = context.web.holds(KEY)
        self._server = f"nvd:{urlsplit(options.url).netloc.rpartition('@')[2]}"
        self._turns = f"{self._server}:key" if self._has_key else self._server
        self._failed_in_a_row = 0

    def ask(self, questions: Sequence[Question]) -> Mapping[Question, Sequence[Record] | Failed]:
        """Answer each question, one after the other: from what jobs found out before, or from NVD."""
        return {question: self._answer(question) for question in dict.fromkeys(questions)}

    def _answer(self, question: Question) -> Sequence[Record] | Failed:
        key = f"{self._server}:{question.key}"
        known = unpack(self._commons.recall(key, max(0.0, self._until - self._now())))
        if known is not None:
            return list(records(known))
        found: list[Json] | None = None
        try:
            found = self._find(question)
        except LookupFailedError as error:
            self._failed_in_a_row += 1
            self._report.log(f"look-up of {question.key[:120]} failed: {error}")
            return Failed(str(error))
        finally:
            text = None if found is None else pack(found)
            self._commons.remember(key, text, KEPT_S if found else KEPT_EMPTY_S)
        self._failed_in_a_row = 0
        return list(records(found))

    def _find(self, question: Question) -> list[Json]:
        if self._failed_in_a_row >= GIVE_UP_AFTER:
            raise LookupFailedError(f"not asked: {GIVE_UP_AFTER} look-ups before it failed")
        found: list[Json] = []
        for page in self._pages(question):
            found += filter(None, map(trimmed, items(page["vulnerabilities"])))
        return found

    def _pages(self, question: Question) -> Iterator[Json]:
        if question.match_string:
            asks: dict[str, str] = {"virtualMatchString": question.match_string}
        else:
            asks = {"keywordSearch": question.words}
        for number in range(PAGES):
            page = self._page({**asks, "resultsPerPage": str(PAGE), "startIndex": str(number * PAGE)})
            yield page
            total = page["totalResults"]
            if question.words and total > WORDS_MOST:
                raise LookupFailedError(f"{total:,} records hold these words, too many to mean anything")
            if total <= (number + 1) * PAGE:
                return
        raise LookupFailedError(f"more than {PAGES * PAGE:,} records are about this product")

    def _page(self, query: Mapping[str, str]) -> Json:
        """Ask until NVD gives a page. Whatever keeps it from that keeps all jobs from asking for a while."""
        reason = ""
        for wait in (*BACKOFF_S, None):
            try:
                answer = self._ask(query)
            except NoAnswerError as error:
                reason, asked_s = str(error), None
            else:
                page = _page(answer)
                if page is not None:
                    return page
                reason, asked_s = _complaint(answer, has_key=self._has_key), answer.retry_after_s
                if not _may_pass(answer):
                    break
            if wait is not None:
                self._commons.hold_off(self._turns, min(wait if asked_s is None else asked_s, LONGEST_WAIT_S))
        raise LookupFailedError(reason)

    def _ask(self, query: Mapping[str, str]) -> WebAnswer:
        patience_s = self._until - self._now()
        limit = TURNS_WITH_KEY if self._has_key else TURNS
        if patience_s <= 0 or not self._commons.take_turn(self._turns, limit, WINDOW_S, patience_s):
            raise LookupFailedError("no turn at NVD came within nvdPatienceSeconds")
        try:
            return self._web.get(
                f"{self._url}?{urlencode(query)}",
                secret_headers={"apiKey": KEY} if self._has_key else None,
                timeout_s=TIMEOUT_S,
                limit_bytes=ANSWER_LIMIT,
            )
        finally:
            self._commons.end_turn(self._turns)


def _page(answer: WebAnswer) -> Json | None:
    """Read a page; None for anything that is not one, as JSON of another form is not."""
    if answer.status != 200:
        return None
    try:
        page = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    found = member(page, "vulnerabilities")
    if not isinstance(found, list):
        return None
    total = member(page, "totalResults")
    return {"vulnerabilities": found, "totalResults": total if is_number(total) else len(found)}


def _may_pass(answer: WebAnswer) -> bool:
    return answer.status == 200 or answer.status in _AGAIN or answer.status >= 500


def _complaint(answer: WebAnswer, *, has_key: bool) -> str:
    if answer.status == 200:
        return "NVD's answer is no page of CVEs"
    hint = f": is {KEY} right?" if has_key and answer.status in (401, 404) else ""
    return f"NVD answered {answer.status}{hint}"
