"""SQL in input: not its words, which are English too, but what makes a query do something else."""

from __future__ import annotations

import re
from typing import Final

from bullpen_processors.http.evidence import Evidence
from bullpen_processors.http.payloads import by_signature, find
from bullpen_processors.http.rule import INJECTION, Rule, example, signatures
from bullpen_processors.http.view import View
from bullpen_processors.ontoweb.vulnerabilities import Vulnerability

_COMMENT_MARKS: Final = re.compile(r"/\*!?\d{0,6}|\*/")

_AND: Final = r"(?:\b(?:or|and|xor)\b|\|\||&&)"
_COMPARED: Final = r"(?:=|<|>|\blike\b|\bbetween\b|\bin\s{0,9}\(|\bis\s{1,9}(?:not\s{1,9})?null\b)"
_STATEMENT: Final = (
    r"(?:select|insert|update|delete|drop|alter|create|truncate|grant|exec(?:ute)?|declare|shutdown|call|merge|set)"
)

SIGNATURES: Final = signatures(
    ("union select", r"(?<![a-z_])union[\s(]{1,20}(?:(?:all|distinct)[\s(]{1,20})?select\b", "1 UNION/**/ALL SELECT 1"),
    (
        "always true",
        r"(?<![a-z_])(?:or|and|xor|having|where)[\s('\"]{1,9}(\w{1,20})['\")\s]{0,9}(?:=|<=>|\blike\b)[\s('\"]{0,9}\1(?!\w)",
        "x' OR '1'='1",
    ),
    (
        "condition after a quote",
        rf"['\"][\s)]{{0,9}}{_AND}[\s('\"]{{0,9}}(?:not\s{{1,9}})?\w{{0,30}}['\")\s]{{0,9}}{_COMPARED}",
        "' or ''='",
    ),
    (
        "condition after a quote",
        r"['\"][\s)]{1,9}(?:or|and)\s{1,9}(?:true|false|\d{1,9})\s{0,9}(?:--|#|/\*|$)",
        "admin' or true--",
    ),
    (
        "condition after a number",
        r"\b\d{1,9}[\s)]{0,9}(?:or|and)[\s(]{1,9}(?:\d{1,9}\s{0,9}[=<>]|(?:true|not|exists|select)\b)",
        "1 and 2>1",
    ),
    (
        "condition after a number",
        r"\b\d{1,9}[\s)]{0,9}(?:or|and)[\s(]{1,9}(?:ascii|substr\w{0,6}|length)\s{0,9}\(",
        "1 and ascii(x)>1",
    ),
    (
        "comment after a quote",
        r"['\"][\s)]{0,9}(?:--(?:[\s\-+\w]{0,9}$|[^a-z\s>-])|#\s{0,9}$|/\*|;\s{0,9}(?:--|#))",
        "admin'--",
    ),
    ("delay", r"(?<![\w.])(?:sleep\s{0,9}\(\s{0,9}['\"]?\d|pg_sleep\s{0,9}\()", "1' AND SLEEP(5)#"),
    ("delay", r"\bbenchmark\s{0,9}\(\s{0,9}\d{1,12}\s{0,9},", "benchmark(5000000,md5(1))"),
    ("delay", r"\bwaitfor\s{1,9}(?:delay|time)\s{1,9}['\"]", "1;WAITFOR DELAY '0:0:5'--"),
    ("delay", r"\bdbms_(?:lock\.sleep|pipe\.receive_message)\s{0,9}\(", "dbms_pipe.receive_message('a',10)"),
    (
        "stacked statement",
        rf"(?:['\")\d]|^)\s{{0,9}};\s{{0,9}}{_STATEMENT}\s{{1,9}}[\w@*'\"(\[`]",
        "1; DROP TABLE users",
    ),
    (
        "select from",
        r"\bselect\s{1,9}(?:distinct\s{1,9})?(?:\*|[\w.@]{1,60}\s{0,9}[(,][^;]{0,200}?)\s{0,9}\bfrom\s{1,9}[\w.`\[\"]",
        "select count(*) from users",
    ),
    ("select from", r"\bselect\s{1,9}['\"\d][^;]{0,60}?\s\bfrom\s{1,9}[\w.`\[\"]", "select 1 from dual"),
    (
        "select from",
        r"\bselect\s{1,9}[\w.,@\s]{1,200}?\sfrom\s{1,9}(?:information_schema|mysql\.|pg_|sys\.|sqlite_|dual\b)",
        "select table_name from information_schema.tables",
    ),
    (
        "select from",
        r"\bselect\s{1,9}[\w.,@\s]{1,200}?\sfrom\s{1,9}\w{1,60}\s{0,9}(?:--|#|;|\bwhere\b|\blimit\s{1,9}\d)",
        "select password from users--",
    ),
    (
        "subquery",
        r"\(\s{0,9}select\s{1,9}(?:\*|[\w.@]{1,60}\s{0,9}(?:\(|,|\sfrom\b)|\d|@@|(?:case|null|char)\b)",
        "(select version())",
    ),
    (
        "insert into",
        r"\binsert\s{1,9}(?:ignore\s{1,9})?into\s{1,9}[\w.`\"\[\]]{1,80}\s{0,9}(?:\(|(?:values|select|set)\b)",
        "insert into users values (1)",
    ),
    (
        "delete from",
        r"\bdelete\s{1,9}from\s{1,9}[\w.`\"\[\]]{1,80}\s{0,9}(?:where\b|;|--|#)",
        "delete from users where 1",
    ),
    (
        "update set",
        r"\bupdate\s{1,9}[\w.`\"\[\]]{1,80}\s{1,9}set\s{1,9}[\w.`\"\[\]]{1,80}\s{0,9}=",
        "update users set admin=1",
    ),
    (
        "drop",
        r"\b(?:drop|truncate|alter|create)\s{1,9}(?:table|database|schema|view|index|procedure|trigger)\s{1,9}[\w.`\"\[]",
        "drop table users",
    ),
    ("exec", r"\bexec(?:ute)?\s{1,9}(?:master\b|[xs]p_\w|immediate\b|@|\()", "exec sp_who"),
    ("exec", r"\bexec(?:ute)?\s{0,9}\(\s{0,9}['\"@]|\bxp_(?:cmdshell|dirtree|regread)\b", "exec('x')"),
    ("probe", r"\border\s{1,9}by\s{1,9}\d{1,5}\s{0,9}(?:--|#|/\*)", "1 order by 10--"),
    (
        "probe",
        r"['\"]\s{0,9}\)?\s{0,9}(?:order|group)\s{1,9}by\s{1,9}[\w.]|\bhaving\s{1,9}\d{1,9}\s{0,9}=",
        "' order by 3",
    ),
    ("probe", r"@@(?:version|datadir|hostname)|\binformation_schema\.", "@@version"),
    ("probe", r"\b(?:extractvalue|updatexml|load_file)\s{0,9}\(|\binto\s{1,9}(?:out|dump)file\b", "load_file(0x2f)"),
    (
        "probe",
        r"\butl_(?:inaddr|http)\.|\bchar\s{0,9}\(\s{0,9}\d{1,3}\s{0,9},|\bconcat(?:_ws)?\s{0,9}\(\s{0,9}0x",
        "char(58,59)",
    ),
)


def _without_comments(text: str) -> str:
    """Read a comment as the blank that it is to a database; MySQL runs what stands in /*! */."""
    return _COMMENT_MARKS.sub(" ", text) if "*" in text else text


_match = by_signature(SIGNATURES, _without_comments)


def _sql_injection(view: View) -> Evidence | None:
    return find(view, _match)


RULES: Final = (
    Rule(
        id="sql-injection-pattern",
        severity="high",
        category="Injection",
        owasp=INJECTION,
        description="Input holds SQL that would change the query it is put into.",
        judge=_sql_injection,
        bad=(
            *(example(params={"id": signature.bad}) for signature in SIGNATURES),
            example("https://shop.example/s?id=1%2527%2520UNION%2520SELECT%25201"),
            example("https://shop.example/s?id=1+UNION+SELECT+1"),
            example(form="user=admin'--&pass=x", sent=[("content-type", "application/x-www-form-urlencoded")]),
            example(form='{"filter": {"id": ["1 or 1=1"]}}', sent=[("content-type", "application/json")]),
            example(
                form='--b\r\nContent-Disposition: form-data; name="q"\r\n\r\n1;drop table x\r\n--b--',
                sent=[("content-type", "multipart/form-data; boundary=b")],
            ),
        ),
        good=(
            example(
                params={"q": "how to select a hotel", "action": "update", "m": "drop shipping", "u": "credit union"}
            ),
            example(params={"delete": "1", "insert": "", "select": "from the list"}),
            example(params={"q": "Select a hotel from the list, or update it; delete it later"}),
            example(params={"q": "the students' union and 'rock' and 'roll'", "n": "it's -- well, it is"}),
            example(params={"q": "O'Brien", "t": "5 or 6 people", "code": "time.sleep(5)", "note": "2 and 3"}),
        ),
        vulnerability=Vulnerability.SQLI,
    ),
)
