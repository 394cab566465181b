"""Credentials in URLs: they end in logs, histories and Referer headers."""

from __future__ import annotations

import re
from typing import Final

from bullpen_processors.http.evidence import Evidence
from bullpen_processors.http.inputs import Field
from bullpen_processors.http.rule import AUTHENTICATION, Rule, example
from bullpen_processors.http.view import View

_SECRET_NAME: Final = re.compile(
    r"token(?!i[sz])"  # not tokenizer
    r"|auth(?!or(?!i[sz])|entic$)"  # not author, authority
    r"|secret(?!ar|ion|e[ds]?$)"  # not secretary
    r"|password(?!less)|passwd|passphrase|^pwd$"
    r"|api[_-]?key|(?:access|private|secret|session|account)[_-]?key"
    r"|jwt|^(?:php|asp|j)?sess(?:ion)?[_-]?id$|^sid$|session[_-]?id|credential"
    r"|^sig$|^signature$|[_-]signature$",
    re.IGNORECASE | re.ASCII,
)
_NO_SECRET: Final = re.compile(
    r"(?:page|next|continuation|sync|cursor)_?-?token|auth(?:or|ority)s?$|token_?(?:type|count|limit|s?max)$",
    re.IGNORECASE,
)
"""Names that hold the word and are no credential: markers of pages, kinds and numbers of tokens."""
_SECRET_VALUE: Final = re.compile(
    r"eyJ[\w-]{5,2000}\.eyJ[\w-]{5,4000}\."  # a JSON Web Token
    r"|^AIza[\w-]{30,40}$|^AKIA[A-Z0-9]{16}$|^gh[pousr]_\w{36}|^xox[abprs]-[\w-]{10}|^sk_live_\w{16}",
    re.ASCII,
)


def _token_in_url(view: View) -> Evidence | None:
    hits = [hit for hit, field in view.params if _is_secret(field)]
    if hits:
        return Evidence("param", params=hits)
    return Evidence("param", {"rawQuery": view.raw_query}) if any(map(_is_secret, view.query)) else None


def _is_secret(field: Field) -> bool:
    """Tell whether a field carries a credential: by its name, where it has a value, or by the value itself."""
    if not field.value.strip():
        return False
    name = field.names[-1][:256]
    named = _SECRET_NAME.search(name) is not None and _NO_SECRET.search(name) is None
    return named or _SECRET_VALUE.search(field.value[:8000]) is not None


def _query(query: str) -> object:
    return example(f"https://api.example/v1?{query}")


RULES: Final = (
    Rule(
        id="token-in-url",
        severity="high",
        category="Authentication & Session",
        owasp=AUTHENTICATION,
        description="The URL carries a token, password or key.",
        judge=_token_in_url,
        bad=(
            _query("a=1&access_token=x"),
            _query("apiKey=K"),
            _query("api%5Fkey=K"),
            _query("jwt=a.b.c"),
            _query("X-Amz-Signature=77"),
            _query("JSESSIONID=9f"),
            _query("authorization=x"),
            _query("q=eyJhbGciOi.eyJzdWIiOi.c2ln"),
            example(params={"Password": "hunter2"}),
        ),
        good=(
            _query("author=jane&authority=x&tokenizer=bpe&secretary=bob"),
            _query("token=&password="),
            _query("nextPageToken=CAUQAA&token_type=bearer"),
            _query("session=spring&design=x&key=value"),
            example("https://app.example/cb#access_token=abc"),
        ),
    ),
)
