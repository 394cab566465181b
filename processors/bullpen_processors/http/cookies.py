"""Set-Cookie headers as recorders write them, and as browsers read them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from bullpen_processors.ontoweb.javascript import trim

Moment = tuple[int, int, int, str]
"""Year, month, day, time of day as HH:MM:SS: ordered as time is."""

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE: Final = re.compile(r"(\d{1,2})[ -]([a-z]{3})[a-z]{0,6}[ -](\d{2,4})\s(\d\d:\d\d:\d\d)", re.ASCII | re.IGNORECASE)
# A comma joins cookies where a name and `=` follow it; the comma of a date is followed by a day
_JOINT: Final = re.compile(r",[ \t]?(?=[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}=)")


def is_set_cookie(name: str) -> bool:
    """Tell whether a header of this name sets a cookie."""
    return name.lower() == "set-cookie"


def lines(value: str) -> list[str]:
    """Split a value into its cookies: one a line, trimmed, without blank lines."""
    return [line for part in value.split("\n") if (line := trim(part))]


def cookie_name(cookie: str) -> str | None:
    """Return the name before the first `=`; None without one."""
    pair, _, _ = cookie.partition(";")
    name, equals, _ = pair.partition("=")
    return trim(name) if equals and name else None


def cookie_domain(cookie: str) -> str | None:
    """Return the value of the first Domain attribute; None when there is none or it is empty."""
    for part in cookie.split(";")[1:]:
        attribute = trim(part)
        if attribute[:7].lower() == "domain=":
            return trim(attribute[7:]) or None
    return None


def joined(line: str) -> list[str]:
    """Split a line that holds several cookies joined by commas, as clients that fold headers write them.

    A comma within the value of the first cookie is left alone unless a blank follows it: values do hold commas.
    """
    cookies, start, looked, attributes = [], 0, 0, False
    for joint in _JOINT.finditer(line):
        attributes = attributes or line.find(";", looked, joint.start()) >= 0
        looked = joint.start()
        if attributes or joint[0] != ",":
            cookies.append(trim(line[start : joint.start()]))
            start, attributes = joint.end(), False
    return [*cookies, trim(line[start:])]


@dataclass(frozen=True, slots=True)
class SetCookie:
    """One cookie that a response sets."""

    name: str
    value: str
    secure: bool
    http_only: bool
    same_site: str | None
    domain: str | None
    path: str | None
    max_age: str | None
    expires: str | None
    raw: str

    @classmethod
    def parse(cls, raw: str) -> Self:
        """Read a cookie as browsers do: of an attribute that comes twice the last counts, blanks around it go."""
        pair, *parts = raw.split(";")
        name, equals, value = pair.partition("=")
        attributes: dict[str, str | None] = {}
        for part in parts:
            key, _, setting = part.partition("=")
            attributes[trim(key).lower()] = trim(setting) or None
        return cls(
            name=trim(name),
            value=trim(value) if equals else "",
            secure="secure" in attributes,
            http_only="httponly" in attributes,
            same_site=attributes.get("samesite"),
            domain=attributes.get("domain"),
            path=attributes.get("path"),
            max_age=attributes.get("max-age"),
            expires=attributes.get("expires"),
            raw=raw,
        )

    def deletes(self, now: Moment | None) -> bool:
        """Tell whether browsers drop the cookie at once; *now* is what the response says, where it does."""
        if self.max_age is not None:
            return self.max_age.startswith("-") or self.max_age.strip("0") == ""
        ends = moment(self.expires or "")
        return ends is not None and ends <= (now or _LONG_AGO)


_LONG_AGO: Final[Moment] = (2000, 1, 1, "")


def moment(date: str) -> Moment | None:
    """Read the date of a header; None when it is none."""
    found = _DATE.search(date[:64])
    if found is None or found[2].lower() not in _MONTHS:
        return None
    year = int(found[3])
    if year < 100:
        year += 1900 if year >= 70 else 2000  # RFC 6265, 5.1.1
    return year, _MONTHS.index(found[2].lower()) + 1, int(found[1]), found[4]
