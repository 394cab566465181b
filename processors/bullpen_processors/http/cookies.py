"""Set-Cookie headers as recorders write them: several cookies in one value, one a line. Pure."""

from __future__ import annotations

from bullpen_processors.ontoweb.javascript import trim


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
