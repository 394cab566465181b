"""What a page names is fetched where the policy allows it, from what was checked, and never from within."""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from bullpen_processors.api import AllowPolicy, NoAnswerError, WebAnswer
from bullpen_runner.fetching import Fetcher, resolve
from bullpen_runner.outside import RunnerWeb
from bullpen_runner.public import is_allowed
from fakes.site import Page, Site, serve
from support import ROOT

LIMIT = 100_000
PUBLIC = "93.184.216.34"
LOOPBACK = AllowPolicy(networks=("127.0.0.0/8",))


@dataclass
class Net:
    """Names that resolve to what a test says, and public addresses that lead to one site."""

    site: Site
    names: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    """Name -> what it resolves to the first time, the second, ...; others to PUBLIC."""
    asked: list[str] = field(default_factory=list)
    connected: list[str] = field(default_factory=list)
    dead: Sequence[str] = ()

    def resolve(self, host: str, _port: int, _timeout_s: float) -> Sequence[str]:
        self.asked.append(host)
        answers = self.names.get(host, [[PUBLIC]])
        return answers[min(self.asked.count(host), len(answers)) - 1]

    def connect(self, address: str, _port: int, timeout_s: float) -> socket.socket:
        self.connected.append(address)
        if address in self.dead:
            raise ConnectionRefusedError
        return socket.create_connection(("127.0.0.1", self.site.port), timeout_s)

    def fetch(self, url: str, policy: AllowPolicy = AllowPolicy(), timeout_s: float = 10.0) -> WebAnswer:  # noqa: B008
        return Fetcher(self.resolve, self.connect).fetch(url, policy, timeout_s=timeout_s, limit_bytes=LIMIT)

    def refuses(self, url: str, policy: AllowPolicy = AllowPolicy(), timeout_s: float = 10.0) -> str:  # noqa: B008
        with pytest.raises(NoAnswerError) as none:
            self.fetch(url, policy, timeout_s)
        return str(none.value)


def test_a_script_comes_from_the_address_that_its_name_resolved_to() -> None:
    with serve({"/a.js?v=%20%C3%A9": Page(b"x", {"Content-Type": "text/javascript"})}) as site:
        net = Net(site)
        answer = net.fetch("http://cdn.test:8080/a.js?v= é")
    assert (answer.status, answer.body, answer.content_type) == (200, b"x", "text/javascript")
    assert (net.connected, site.hosts) == ([PUBLIC], ["cdn.test:8080"])


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1", "fec0::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::1", "2001:0:7f00:1::", "2001:0:5db8:d822:0:0:f5ff:fffe",
        "no address", "",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_none(address: str) -> None:
    assert not is_allowed(address)
    with serve({"/a.js": Page(b"x")}) as site:
        net = Net(site, {"in.test": [[address]], "both.test": [[PUBLIC, address]]})
        assert net.refuses("http://in.test/a.js") == "in.test is no public address"
        assert net.refuses("https://both.test/a.js") == "both.test is no public address"
    assert (net.connected, site.paths) == ([], [])


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_a_public_address_is_one(address: str) -> None:
    assert is_allowed(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://127.1/", "http://2130706433/", "http://0x7f.0.0.1/", "http://0177.0.0.1/",
        "http://localhost/", "http://[::1]/", "http://[::ffff:7f00:1]/", "http://0/",
    ],
)  # fmt: skip
def test_spellings_of_loopback_are_seen_through_by_the_real_resolver(url: str) -> None:
    with pytest.raises(NoAnswerError, match=r"is no public address$"):
        RunnerWeb().fetch(url, AllowPolicy(), timeout_s=10.0, limit_bytes=LIMIT)


def test_a_name_that_resolves_otherwise_a_moment_later_changes_nothing() -> None:
    with serve({"/a.js": Page(b"x")}) as site:
        net = Net(site, {"rebinds.test": [[PUBLIC], ["127.0.0.1"]]})
        assert net.fetch("http://rebinds.test/a.js").body == b"x"
        assert (net.asked, net.connected) == (["rebinds.test"], [PUBLIC])
        assert net.refuses("http://rebinds.test/a.js") == "rebinds.test is no public address"


def redirects(*targets: str) -> dict[str, Page]:
    return {f"/{index}": Page(status=302, headers={"Location": target}) for index, target in enumerate(targets)}


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("http://in.test/", "in.test is no public address"),
        ("//in.test/", "in.test is no public address"),
        ("http://127.0.0.1/", "127.0.0.1 is no public address"),
        ("http://[::ffff:169.254.169.254]/latest/meta-data", "::ffff:169.254.169.254 is no public address"),
        ("file:///etc/passwd", "that is no http:// or https:// URL"),
        ("http://[", "a redirect leads to what is no URL"),
        ("gopher://x/", "that is no http:// or https:// URL"),
        ("http://cdn.test:22/", "port 22 is not allowed"),
    ],
)
def test_each_redirect_is_held_against_the_policy(target: str, reason: str) -> None:
    with serve(redirects("/1", target)) as site:
        names = {
            "in.test": [["10.0.0.1"]],
            "127.0.0.1": [["127.0.0.1"]],
            "::ffff:169.254.169.254": [["::ffff:a9fe:a9fe"]],
        }
        net = Net(site, names)
        assert net.refuses("http://cdn.test/0") == reason
    assert (net.connected, site.paths) == ([PUBLIC, PUBLIC], ["/0", "/1"])


def test_redirects_are_followed_and_counted() -> None:
    pages = {**redirects("/1", "http://other.test/2", "/3"), "/3": Page(b"x")}
    with serve(pages) as site:
        net = Net(site)
        assert net.fetch("http://cdn.test/0").body == b"x"
        assert site.hosts == ["cdn.test", "cdn.test", "other.test", "other.test"]
        assert net.refuses("http://cdn.test/0", AllowPolicy(redirects=2)) == "more than 2 redirects"
        assert net.refuses("http://cdn.test/0", AllowPolicy(hosts=("cdn.test",))) == (
            "other.test is not among the hosts that are allowed"
        )


def test_a_policy_names_schemes_hosts_and_networks() -> None:
    with serve({"/a.js": Page(b"x")}) as site:
        net = Net(site, {"in.test": [["10.1.2.3"]], "out.test": [["10.2.2.3"]]})
        assert net.refuses("http://a.test/", AllowPolicy(schemes=("https",))) == "http:// is not allowed"
        below = AllowPolicy(hosts=("*.A.test",), networks=("10.1.0.0/16",))
        assert net.fetch("http://cdn.a.test/a.js", below).body == b"x"
        assert net.refuses("http://a.test/", below) == "a.test is not among the hosts that are allowed"
        assert net.refuses("http://evila.test/", below) == "evila.test is not among the hosts that are allowed"
        within = AllowPolicy(networks=("10.1.0.0/16", "fd00::/8"))
        assert net.fetch("http://in.test/a.js", within).body == b"x"
        assert net.refuses("http://out.test/a.js", within) == "out.test is no public address"


BOMB = gzip.compress(b"x" * 50_000_000)


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        pytest.param(Page(b"x" * (LIMIT + 1)), "cdn.test answered with more than 100,000 bytes", id="huge"),
        pytest.param(
            Page(BOMB, {"Content-Encoding": "gzip"}), "cdn.test answered with more than 100,000 bytes", id="bomb"
        ),
        pytest.param(
            Page(b"x", {"Content-Encoding": "br"}),
            "cdn.test answered in an encoding that it was not asked for",
            id="encoding",
        ),
        pytest.param(Page(b"x", {"Content-Length": "9"}), "cdn.test gave no answer: the connection broke", id="half"),
    ],
)
def test_what_is_no_whole_answer_is_none(page: Page, reason: str) -> None:
    with serve({"/a.js": page}) as site:
        assert Net(site).refuses("http://cdn.test/a.js") == reason


@pytest.mark.parametrize("drips", [False, True])
def test_one_deadline_bounds_all_redirects(drips: bool) -> None:
    pages = {**redirects("/slow"), "/slow": Page(b"x" * 1000, delay_s=0.05 if drips else 2.0, drips=drips)}
    began = time.monotonic()
    with serve(pages) as site:
        reason = Net(site).refuses("http://cdn.test/0", timeout_s=0.5)
    assert reason == "cdn.test gave no answer: nothing whole came within 0.5 s"
    assert time.monotonic() - began < 4.0


def test_a_resolver_that_hangs_takes_no_longer_than_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_host: object, **_how: object) -> list[object]:
        time.sleep(6.0)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    began = time.monotonic()
    with pytest.raises(NoAnswerError, match=r"nothing whole came within 0\.3 s"):
        Fetcher().fetch("http://slow.test/", AllowPolicy(), timeout_s=0.3, limit_bytes=LIMIT)
    assert time.monotonic() - began < 4.0


@pytest.mark.parametrize("host", ["no-such-name.invalid", "a..test", "x" * 300 + ".test"])
def test_a_name_that_is_not_known_is_said(host: str) -> None:
    with pytest.raises(OSError, match=r".*"):
        resolve(host, 80, 10.0)
    with pytest.raises(NoAnswerError, match=r"gave no answer: its host name is not known$"):
        Fetcher().fetch(f"http://{host}/?secret", AllowPolicy(), timeout_s=10.0, limit_bytes=LIMIT)


def test_an_address_that_does_not_answer_gives_way_to_the_next() -> None:
    with serve({"/a.js": Page(b"x")}) as site:
        net = Net(site, {"two.test": [["2606:4700::1111", PUBLIC]]}, dead=("2606:4700::1111",))
        assert net.fetch("http://two.test/a.js").body == b"x"
        assert net.connected == ["2606:4700::1111", PUBLIC]
        net = Net(site, dead=(PUBLIC,))
        assert net.refuses("http://one.test/a.js") == "one.test gave no answer: it refused the connection"


def test_a_certificate_has_to_be_trusted_and_the_hosts_own() -> None:
    with serve({"/a.js": Page(b"x")}, certificate=ROOT / "tests" / "fakes" / "localhost.pem") as site:
        reason = Net(site).refuses("https://cdn.test/a.js")
    assert reason.startswith("the certificate of cdn.test is not trusted: ")
    assert site.paths == []


def test_a_real_site_within_an_allowed_network_is_fetched() -> None:
    with serve({"/a.js": Page(gzip.compress(b"x"), {"Content-Encoding": "gzip"})}) as site:
        assert RunnerWeb().fetch(f"{site.url}/a.js", LOOPBACK, timeout_s=10.0, limit_bytes=LIMIT).body == b"x"
