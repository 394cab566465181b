"""A second opinion, broader and simpler than the rules: could a text be what a rule says it is?

Predicates ask it both ways: what the original reports and we don't must not look dangerous, what we add must.
"""

from __future__ import annotations

import html
import re
from typing import Any, Final
from urllib.parse import unquote, unquote_plus, urlsplit

from bullpen_processors.ontoweb.javascript import member, text

SQL: Final = re.compile(
    r"(?<![a-z_])union[\s(*/!\d]+(?:(?:all|distinct)\s+)?select(?!\w)"
    r"|['\"][\s)]*(?:--(?:[\s+\-\w]{0,9}$|[^a-z\s>-])|\#\s*$|/\*|;\s*(?:--|\#))"
    r"|(?:['\"\d][\s)]*|^)(?:(?<![a-z_])(?:or|and|xor|having)\b|\|\||&&)[\s('\"]+\w*['\")\s]*(?:[=<>]|like\b)"
    r"|['\"\d][\s)]*(?<![a-z_])(?:or|and)\s+(?:(?:true|false|\d+)\s*(?:--|\#|/\*|$)|\w+\s*\(|(?:not|exists|select)\b)"
    r"|(?<![\w.])sleep\s*\(\s*\d|waitfor\s|benchmark\s*\(|dbms_\w"
    r"|(?:['\")\d]|^)\s*;\s*(?:select|insert|update|delete|drop|alter|create|exec\w*|declare)\s+\w"
    r"|select\s+(?:\*|[\w.@]+\s*[(,]|['\"\d])[^;]*\bfrom\s+\w|\bfrom\s+(?:information_schema|\w+\s*(?:--|\#|;|where\b))"
    r"|\(\s*select\s+\S|\binsert\s+into\s|\bdelete\s+from\s+[\w.`]+\s*(?:where\b|;|--|\#)|update\s+\S+\s+set\s"
    r"|\b(?:drop|alter|create|truncate)\s+(?:table|database|view|index)|\bexec\w*\s*\(\s*['\"@]|\bexec\w*\s+[xs]p_"
    r"|order\s+by\s+\d|having\s+\d|@@\w|information_schema|\b(?:load_file|extractvalue|updatexml|concat|char)\s*\(\s*\w",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)
SCRIPT: Final = re.compile(
    r"<\s*/?\s*script|(?<![\w-])on[a-z]{4,}\s*=|(?<!\w)(?:java|vb)script:\s*(?:$|\S*[(`=;/\[+'\"%])|data:text/html"
    r"|<(?:iframe|object|embed|base|meta|applet)\b|['\"`][^'\"`]*(?:alert|eval|prompt|confirm|write)\(",
    re.IGNORECASE | re.ASCII,
)
TRAVERSAL: Final = re.compile(r"\.\.;?[/\\]|etc/passwd|etc/shadow|\.ini\b|file:/|proc/self|web-inf", re.IGNORECASE)
SECRET: Final = re.compile(
    r"token(?!i[sz])|auth(?!or(?!i[sz]))|secret(?!ar)|passw|pwd|api[_-]?key|access[_-]?key|jwt|sess\w*id|^sid$"
    r"|sig(?:nature)?$",
    re.IGNORECASE,
)
LEADS: Final = re.compile(
    r"^r?u$|redir|return|next|url|uri|goto|dest|continue|target|link|back|callback|to$", re.IGNORECASE
)
AWAY: Final = re.compile(r"[\s\x00-\x20]*(?:https?:|[/\\]{2}|javascript:|data:)", re.IGNORECASE)
TRACE: Final = re.compile(
    r"most recent call last|\", line \d|\.php(?:</b>)? on line|:\d+(?::\d+)?\)"
    r"|\b[A-Z]\w*(?:Error|Exception): |\w\.[A-Z]\w*Exception\b"
    r"|(?i:exception in thread|unhandled exception)|goroutine \d|panicked at|\.rb:\d|\.php:\d|SQLSTATE|ORA-\d"
    r"|node:internal|(?i:uncaught \w*(?:error|exception)|stack trace:)|\.php\(\d|\.go:\d|:line \d|Server Error in '"
    r"|PG::\w|syntax error|SQL syntax|Unclosed quotation"
)
NAMED: Final = re.compile(r"ReferenceError|TypeError|Exception(?! of)|Traceback")
LOADED: Final = re.compile(
    r"<(?!a\b)[a-z][^<>]*\s(?:src|href|data|\w*action|poster|background)\s*=\s*[\"']?\s*http:|srcset\s*=[^<>]*http:|url\(\s*[\"']?http:"
    r"|@import\s*[\"']http:|(?:\.src\s*=|fetch\s*\(|import\s*\(?)\s*[\"'`]http:",
    re.IGNORECASE,
)


def decoded(value: str) -> str:
    """Undo what an attacker may have done to a text."""
    value = re.sub("%c0%ae", ".", re.sub("%c0%af", "/", value, flags=re.IGNORECASE), flags=re.IGNORECASE)
    for _ in range(4):
        value = html.unescape(unquote(value)).replace("%u002e", ".").replace("\\u003c", "<")
    return value.replace("\ufffd\ufffd", "").replace("/**/", " ")


def readings(value: str) -> list[str]:
    """Return a text as it is, decoded, with + for blanks, and without what browsers skip."""
    plain = [value, decoded(value), decoded(unquote_plus(value))]
    return plain + [re.sub(r"[\x00\t\r\n]", "", text) for text in plain] + [re.sub(r"/\*.*?\*/", " ", plain[2])]


def looks(pattern: re.Pattern[str], *values: str) -> bool:
    """Tell whether any reading of any of the values matches."""
    return any(pattern.search(reading) for value in values for reading in readings(value))


def pairs(query: str) -> list[tuple[str, str]]:
    """Take a raw query apart; what has blanks or quotes before `=` is no name."""
    parts = [(pair, *pair.partition("=")) for pair in query.split("&")]
    return [
        ("", pair) if re.search(r"[ '\"+]|%2[027b]", name, re.IGNORECASE) else (name, value)
        for pair, name, _, value in parts
    ]


def secret(name: str, value: str) -> bool:
    """Tell whether a parameter may be a credential: by name or value, and not blank."""
    return unquote_plus(value).strip() != "" and (looks(SECRET, name) or "eyJ" in value)


def leads_away(name: str, value: str, item: Any) -> bool:
    """Tell whether a parameter may send a browser to another site than the one that was asked."""
    return looks(LEADS, name) and looks(AWAY, value) and not within_site(value, item)


def within_site(value: str, item: Any) -> bool:
    """Tell whether an absolute address has the host that was asked, but for its first label."""
    uri = member(item, "uri")
    authority, full = text(member(uri, "authority") or ""), text(member(uri, "full") or "")
    try:
        asked = urlsplit(f"//{authority}" if authority else full).hostname
        target = urlsplit(value.strip()).hostname
    except ValueError:
        return False
    return bool(target) and bool(asked) and _tail(str(target)) == _tail(str(asked))


def _tail(host: str) -> str:
    return ".".join(host.lower().split(".")[-2:])
