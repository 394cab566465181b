"""Why something that looks like a finding is none. There are six reasons; docs/compatibility.md lists them."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """A name for people and tests."""

    VERSION = "another-version"
    """NVD's ranges leave this version out, or the text names another."""
    PRODUCT = "another-product"
    """The record is about something else: a word of it, or the platform that it runs on."""
    REJECTED = "rejected-record"
    """The CVE was withdrawn."""
    GOOD_HEADER = "good-header"
    """The header is there, and what it says protects."""
    FIRST_PARTY = "first-party-cookie"
    """The cookie's domain belongs to the site."""
    NO_CREDENTIAL = "no-credential"
    """No word of the cookie's name says session, token or id."""
