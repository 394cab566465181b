"""What addresses are public: nothing that only this machine, its network or its cloud answers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

_NAT64: Final = IPv6Network("64:ff9b::/96")
"""RFC 6052: the last 32 bits are an IPv4 address that a gateway connects to."""
_COMPATIBLE: Final = IPv6Network("::/96")
"""RFC 4291, 2.5.5.1: deprecated, and still routed by some."""


def is_allowed(text: str, networks: Iterable[str] = ()) -> bool:
    """Tell whether an address, as getaddrinfo gives it, is public or lies in one of *networks*."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return all(_is_public(one) or _is_in(one, networks) for one in (address, *_within(address)))


def _is_public(address: Address) -> bool:
    # IANA's registries of special purposes, as Python knows them; some of its versions call multicast global
    if isinstance(address, IPv6Address) and (address.ipv4_mapped or address in _NAT64):
        return True  # as public as what is within
    if isinstance(address, IPv6Address) and address.is_site_local:
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _is_in(address: Address, networks: Iterable[str]) -> bool:
    return any(address in ip_network(network) for network in networks)


def _within(address: Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses that an IPv6 one leads to: mapped, translated, tunneled."""
    if isinstance(address, IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        yield IPv4Address(int(address) & 0xFFFFFFFF)
