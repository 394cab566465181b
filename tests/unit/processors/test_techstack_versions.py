"""Versions and CPEs: what is before what, and what a record of NVD says about a version."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from bullpen_processors.techstack.cpe import Cpe, Criterion, criteria
from bullpen_processors.techstack.products import TABLE, plain, product_of
from bullpen_processors.techstack.versions import Version
from fakes.nvd import cpe


def version(text: str) -> Version:
    found = Version.of(text)
    assert found is not None
    return found


ORDER = [
    "0.9",
    "1.0-alpha1",
    "1.0-alpha2",
    "1.0-beta",
    "1.0-rc1",
    "1.0rc2",
    "1.0",
    "1.0a",
    "1.0.1-beta1",
    "1.0.1",
    "1.0.1a",
    "1.0.1f",
    "1.0.1g",
    "1.0.2",
    "1.0.10",
    "1.9",
    "1.10",
    "1.18.0",
    "2",
    "2.0.1",
    "7.2",
    "7.2p1",
    "7.2p2",
    "7.10",
]


def test_versions_are_ordered_as_products_count() -> None:
    for i, earlier in enumerate(ORDER):
        for later in ORDER[i + 1 :]:
            assert version(earlier).compare(version(later)) == -1, (earlier, later)
            assert version(later).compare(version(earlier)) == 1, (earlier, later)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3", "3.0"),
        ("3.0", "3.0.0"),
        ("v1.2.3", "1.2.3"),
        ("1.0.1G", "1.0.1g"),
        ("9.0.0.Final", "9.0.0"),
        ("1.0RC1", "1.0-rc1"),
        ("2.4.52 (Ubuntu)", "2.4.52"),
        ("7.4.3-4ubuntu2.18", "7.4.3"),
        ("1.14.2-2+deb10u1", "1.14.2"),
    ],
)
def test_one_version_may_be_written_in_many_ways(one: str, other: str) -> None:
    assert version(one).compare(version(other)) == 0


@pytest.mark.parametrize(
    ("text", "packaged"),
    [
        ("2.4.52 (Ubuntu)", True),
        ("7.4.3-4ubuntu2.18", True),
        ("1.14.2-2+deb10u1", True),
        ("5.4.16-48.el7", True),
        ("1.18.0", False),
        ("1.0.1g", False),
    ],
)
def test_a_distributions_package_is_seen(text: str, packaged: bool) -> None:
    assert version(text).packaged is packaged


@pytest.mark.parametrize("text", ["", "latest", "[object Object]", "true", "x" * 10_000])
def test_what_holds_no_number_is_no_version(text: str) -> None:
    assert Version.of(text) is None


def criterion(match: Any) -> Criterion:
    found = Criterion.of(match)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("match", "inside", "outside"),
    [
        (
            cpe("php", "php", versionStartIncluding="7.4.0", versionEndExcluding="7.4.3"),
            ["7.4.0", "7.4.2"],
            ["7.4.3", "7.3.9"],
        ),
        (
            cpe("f5", "nginx", versionStartIncluding="0.6.18", versionEndExcluding="1.20.1"),
            ["1.18.0", "0.6.18"],
            ["1.20.1", "0.6.17"],
        ),
        (
            cpe("f5", "nginx", versionStartExcluding="1.0", versionEndIncluding="1.2"),
            ["1.2", "1.2.0", "1.1"],
            ["1.0", "1.2.1"],
        ),
        (cpe("openssl", "openssl", "1.0.1f"), ["1.0.1f"], ["1.0.1", "1.0.1g"]),
        (cpe("fict", "all"), ["0.1", "99"], []),
        (cpe("fict", "none", "-"), [], ["1.0"]),
        (cpe("apache", "tomcat", "9.0.0:milestone1"), ["9.0.0-M1".replace("M", "milestone")], ["9.0.0", "9.0.1"]),
        (cpe("openbsd", "openssh", "7.2:p2"), ["7.2p2", "7.2"], ["7.2p1", "7.3"]),
    ],
)
def test_a_criterion_names_the_versions_of_its_range(match: Any, inside: list[str], outside: list[str]) -> None:
    match["criteria"] = match["criteria"].replace(
        ":*:*:*:*:*:*:*", ":*:*:*:*:*:*", match["criteria"].count(":milestone")
    )
    one = criterion(match)
    assert [text for text in inside if not one.has(version(text))] == []
    assert [text for text in outside if one.has(version(text))] == []


def test_escaped_colons_and_signs_are_part_of_a_name() -> None:
    assert Cpe.of(r"cpe:2.3:a:we\"ird:back\\slash\:x:1.0:*:*:*:*:*:*:*") == Cpe(
        "a", 'we"ird', r"back\slash:x", "1.0", "*"
    )
    assert Cpe.of("cpe:/a:old:form") is None


def test_nested_nodes_are_read_and_what_only_carries_is_told_apart() -> None:
    platform = {"vulnerable": False, "criteria": "cpe:2.3:o:linux:linux_kernel:-:*:*:*:*:*:*:*"}
    nodes = [
        {"operator": "AND", "children": [{"cpeMatch": [cpe("a", "b", "1")]}]},
        {"cpeMatch": [platform, None, {"criteria": 5}]},
    ]
    found = list(criteria([None, {"nodes": [None, *nodes]}, {}]))
    assert [(one.cpe.product, one.vulnerable) for one in found] == [("b", True), ("linux_kernel", False)]


# -- the table of products


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("Nginx", ("f5", "nginx")),
        ("jQuery", ("jquery", "jquery")),
        ("jQuery UI", ("jqueryui", "jquery_ui")),
        ("apache-http-server", ("apache", "http_server")),
        ("Node.js", ("nodejs", "node.js")),
    ],
)
def test_a_technology_has_a_cpe_however_it_is_written(name: str, pair: tuple[str, str]) -> None:
    product = product_of(name)
    assert product is not None
    assert product.pairs[0] == pair


def test_what_is_not_in_the_table_has_none() -> None:
    assert product_of("AcmeServer") is None
    assert plain("C#") != plain("C++") != plain("C")


def test_no_name_is_in_the_table_twice_and_every_pair_is_one() -> None:
    rows = tomllib.loads(TABLE.read_text())["product"]
    names = [plain(name) for row in rows for name in row["names"]]
    assert sorted({name for name in names if names.count(name) > 1}) == []
    assert all(pair.count(":") == 1 and pair == pair.lower() for row in rows for pair in row["cpe"])
    assert len(names) >= 250
