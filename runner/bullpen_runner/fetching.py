"""GETs of addresses that somebody else wrote: where a policy allows it, and to what was checked and nowhere else.

A page chooses what is asked for here: each address is a request that its author makes from within the cluster. A name
is resolved once, all it resolves to is checked, and the connection goes to one of the checked addresses: what the name
resolves to a moment later does not matter.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, quote, urljoin

from bullpen_processors.api import AllowPolicy, NoAnswerError, WebAnswer
from bullpen_runner.graph_http import cut_off_at
from bullpen_runner.public import is_allowed
from bullpen_runner.web import Bounds, ask, connection_to, host_of, no_answer_from, parse, read

_MOVED: Final = (301, 302, 303, 307, 308)
_PORTS: Final = (80, 443)
_PRIVILEGED: Final = 1024
"""Ports below are those of mail, shells and files, but for the web's own."""
_TRIED: Final = 4
"""Addresses of one name that are tried."""


def resolve(host: str, port: int, timeout_s: float) -> Sequence[str]:
    """Return the addresses of a name; raises OSError. getaddrinfo knows no deadline: another thread calls it."""
    found: list[str] = []
    failed: list[OSError] = []

    def look_up() -> None:
        try:
            found.extend(str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            failed.append(error)
        except UnicodeError:  # an empty label, or one that is too long
            failed.append(socket.gaierror())

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(timeout_s)
    if failed:
        raise failed[0]
    if thread.is_alive():
        raise TimeoutError
    return list(dict.fromkeys(found))


def connect(address: str, port: int, timeout_s: float) -> socket.socket:
    """Open a connection to an address, no name; raises OSError."""
    return socket.create_connection((address, port), timeout_s)


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches; names and sockets come from *resolve* and *connect*."""

    resolve: Callable[[str, int, float], Sequence[str]] = resolve
    connect: Callable[[str, int, float], socket.socket] = connect

    def fetch(self, url: str, policy: AllowPolicy, *, timeout_s: float, limit_bytes: int) -> WebAnswer:
        """Get what *url* leads to. Raises NoAnswerError, which names hosts and no more of an address."""
        bounds = Bounds.of(timeout_s, limit_bytes)
        for _ in range(policy.redirects + 1):
            came = self._once(url, policy, bounds)
            if isinstance(came, WebAnswer):
                return came
            url = _joined(url, came)
        raise NoAnswerError(f"more than {policy.redirects} redirects")

    def _once(self, url: str, policy: AllowPolicy, bounds: Bounds) -> WebAnswer | str:
        """Ask one address: an answer, or where it is said to be."""
        parts = parse(url)
        parts = parts._replace(path=_ascii(parts.path), query=_ascii(parts.query))
        host = host_of(parts)
        check(parts, policy)
        with no_answer_from(host, bounds), closing(connection_to(parts, bounds.left_s)) as connection:
            connection.sock = self._open(host, _port_of(parts), policy, bounds)
            if parts.scheme == "https":
                connection.sock = _tls(connection.sock, host)
            with cut_off_at(bounds.deadline, connection.sock):
                if isinstance(connection.sock, ssl.SSLSocket):
                    connection.sock.do_handshake()
                with ask(connection, parts, {"Accept": "*/*"}) as response:
                    return _moved_to(response) or read(response, bounds.limit_bytes)

    def _open(self, host: str, port: int, policy: AllowPolicy, bounds: Bounds) -> socket.socket:
        addresses = self.resolve(host, port, bounds.left_s)
        if not addresses or not all(is_allowed(address, policy.networks) for address in addresses):
            raise NoAnswerError(f"{host} is no public address")
        return self._first(addresses[:_TRIED], port, bounds)

    def _first(self, addresses: Sequence[str], port: int, bounds: Bounds) -> socket.socket:
        """Connect to the first address that answers; each gets its part of the time that is left."""
        for left in range(len(addresses), 0, -1):
            try:
                opened = self.connect(addresses[-left], port, bounds.left_s / left)
            except OSError:
                if left == 1:
                    raise
            else:
                opened.settimeout(max(bounds.left_s, 0.001))
                return opened
        raise TimeoutError


def check(parts: SplitResult, policy: AllowPolicy) -> None:
    """Hold what can be seen of an address against a policy; raises NoAnswerError."""
    host = host_of(parts)
    if parts.scheme not in policy.schemes:
        raise NoAnswerError(f"{parts.scheme}:// is not allowed")
    if policy.hosts and not any(_is_like(host, pattern.lower()) for pattern in policy.hosts):
        raise NoAnswerError(f"{host} is not among the hosts that are allowed")
    if _port_of(parts) not in _PORTS and _port_of(parts) < _PRIVILEGED:
        raise NoAnswerError(f"port {parts.port} is not allowed")


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise NoAnswerError("a redirect leads to what is no URL") from None


def _ascii(text: str) -> str:
    """Escape what a request line can't hold, as browsers do."""
    return re.sub(r"[^\x21-\x7e]+", lambda found: quote(found[0], errors="replace"), text)


def _tls(opened: socket.socket, host: str) -> ssl.SSLSocket:
    return ssl.create_default_context().wrap_socket(opened, server_hostname=host, do_handshake_on_connect=False)


def _is_like(host: str, pattern: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def _port_of(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _moved_to(response: http.client.HTTPResponse) -> str:
    """Return where a redirect leads; "" when the answer is none."""
    return response.headers.get("Location", "") if response.status in _MOVED else ""
