"""From a URL to a client of redis-py that is safe for claims: no automatic retries, times out, decodes.

    redis://[user:password@]host:port/db         rediss:// with TLS, unix:///path/of.sock?db=0
    redis+sentinel://[user:password@]host1:26379,host2:26379/name-of-the-master/db
                                                 ?sentinel_username=...&sentinel_password=... for the Sentinels' own
    redis+cluster://[user:password@]host1:6379,host2:6379    the queues' prefix needs a hash tag, as {bull}

`rediss+sentinel` and `rediss+cluster` use TLS. User and password are percent-encoded. *ca*: the authorities to
trust, as PEM text (from a Secret) or as the path of a PEM file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from bullpen_protocol.bullmq.errors import ServerUrlError
from bullpen_protocol.bullmq.faults import FAULTS, translate

TIMEOUT_S: Final = 10.0
"""For an answer. A blocking client gets this on top of the time it blocks."""
CONNECT_TIMEOUT_S: Final = 5.0

_PEM: Final = "-----BEGIN "
_FORMS: Final = (
    "redis://, rediss://, unix://, redis+sentinel://, rediss+sentinel://, redis+cluster:// or rediss+cluster://"
)
_PORTS: Final = {"sentinel": 26379, "cluster": 6379}
_SENTINEL_OPTIONS: Final = {"sentinel_username": "username", "sentinel_password": "password"}


@dataclass(frozen=True, slots=True)
class Address:
    """A URL taken apart. `kind` is `server`, `sentinel` or `cluster`."""

    kind: str
    tls: bool
    url: str
    hosts: tuple[tuple[str, int], ...] = ()
    username: str | None = None
    password: str | None = None
    master: str = ""
    db: int = 0
    sentinel_login: tuple[tuple[str, str], ...] = ()


def connect(url: str, *, ca: str | None = None, block_s: float = 0) -> redis.Redis | redis.RedisCluster:
    """Make a client; it connects with its first command, to a cluster at once.

    *block_s*: the longest that one command may block. Raises ServerUrlError for a URL of no known form.
    """
    client: redis.Redis | redis.RedisCluster
    client = _make(url, ca, block_s, redis, redis.cluster.ClusterNode, Retry(NoBackoff(), 0))
    return client


def connect_async(
    url: str, *, ca: str | None = None, block_s: float = 0
) -> redis.asyncio.Redis | redis.asyncio.RedisCluster:
    """Make an asyncio client, as connect() does."""
    client: redis.asyncio.Redis | redis.asyncio.RedisCluster
    client = _make(url, ca, block_s, redis.asyncio, redis.asyncio.cluster.ClusterNode, AsyncRetry(NoBackoff(), 0))
    return client


def _make(url: str, ca: str | None, block_s: float, library: Any, node: Any, retry: Any) -> Any:
    address = parse(url)
    options = _options(address, ca, block_s) | {"retry": retry}
    try:
        if address.kind == "server":
            return library.Redis.from_url(url, **options)
        options |= _login(address)
        if address.kind == "cluster":
            nodes = [node(host, port) for host, port in address.hosts]
            return library.RedisCluster(startup_nodes=nodes, **options)
        own = {name: value for name, value in options.items() if name not in ("username", "password")}
        sentinels = library.Sentinel(
            address.hosts, sentinel_kwargs=own | dict(address.sentinel_login), db=address.db, **options
        )
        return sentinels.master_for(address.master)
    except FAULTS as error:
        raise translate(error) from error
    except (ValueError, TypeError) as error:  # redis-py's own words on an option; they may quote the URL
        raise ServerUrlError(f"{_redacted(url)}: {type(error).__name__} in its options") from error


def parse(url: str) -> Address:
    """Take a URL apart; raises ServerUrlError."""
    scheme, _, rest = url.partition("://")
    transport, _, kind = scheme.partition("+")
    known = (
        transport in ("redis", "rediss", "unix") if not kind else transport in ("redis", "rediss") and kind in _PORTS
    )
    if not rest or not known:
        raise ServerUrlError(f"not a Redis URL: {_redacted(url)}; expected {_FORMS}")
    if not kind:
        return Address("server", transport == "rediss", url)
    return _parse_many(url, transport == "rediss", kind)


def _parse_many(url: str, tls: bool, kind: str) -> Address:
    # not urlsplit: newer Pythons refuse a list of hosts with an IPv6 address in it
    rest, _, query = url.partition("#")[0].partition("://")[2].partition("?")
    place, _, path = rest.partition("/")
    login, _, hosts = place.rpartition("@")
    username, _, password = login.partition(":")
    master, _, db = path.strip("/").partition("/")
    if kind == "sentinel" and not master:
        raise ServerUrlError(
            f"{_redacted(url)} names no master; expected redis+sentinel://host,host/name-of-the-master"
        )
    if not (db or "0").isdecimal():
        raise ServerUrlError(f"{_redacted(url)}: the database {db[:20]!r} is not a number")
    return Address(
        kind=kind,
        tls=tls,
        url=url,
        hosts=tuple(_host(url, text, _PORTS[kind]) for text in hosts.split(",")),
        username=unquote(username) or None,
        password=unquote(password) or None,
        master=unquote(master),
        db=int(db or 0),
        sentinel_login=tuple(
            (_SENTINEL_OPTIONS[name], value) for name, value in parse_qsl(query) if name in _SENTINEL_OPTIONS
        ),
    )


def _host(url: str, text: str, default_port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        if parts.hostname:
            return parts.hostname, parts.port or default_port
    except ValueError:  # a port that is none
        pass
    raise ServerUrlError(f"{_redacted(url)}: {text[:60]!r} is not host:port")


def _options(address: Address, ca: str | None, block_s: float) -> dict[str, Any]:
    options: dict[str, Any] = {
        "decode_responses": True,
        "encoding_errors": "surrogateescape",  # ids of foreign bytes survive a round trip
        "protocol": 2,  # nothing here needs RESP3, whose push messages cost a client start
        "socket_timeout": TIMEOUT_S + block_s,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
    }
    if address.tls and address.kind != "server":
        options["ssl"] = True
    if address.tls and ca is not None:
        options["ssl_ca_data" if _PEM in ca else "ssl_ca_certs"] = ca
    return options


def _login(address: Address) -> dict[str, str]:
    login = {"username": address.username, "password": address.password}
    return {name: value for name, value in login.items() if value is not None}


def _redacted(url: str) -> str:
    """Leave out what stands before the host and after the path: it may be secret."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "(no scheme)"
    return f"{scheme[:20]}://{rest.rpartition('@')[2].partition('?')[0][:80]}"
