"""Which addresses of the network may be connected to."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

_NAT64 = IPv6Network("64:ff9b::/96")
_NEVER_PUBLIC = tuple(
    ip_network(text)
    for text in (
        # Not reachable from everywhere, though not every version of `ipaddress` says so.
        "192.0.0.0/24",
        "192.88.99.0/24",
        "2001::/23",
        "2002::/16",
        "3fff::/20",
        # Public by its number only: the metadata service of a cloud's machines.
        "168.63.129.16/32",
    )
)


def is_address(host: str) -> bool:
    """Return whether this is an address, with or without a zone, and no name to be looked up."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_allowed(address: str, networks: Sequence[Network]) -> bool:
    """Return whether the address may be connected to: a public one, or one in these networks.

    An IPv4 address that is written as an IPv6 one, or that NAT64 leads to, is judged by the IPv4
    address. Other wrappings of IPv4 addresses (6to4, Teredo, a local NAT64) are not public
    themselves, so no address inside them makes them allowed.

    Args:
        address: As a text, with or without a zone.
        networks: Where addresses need not be public.
    """
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:  # a name: where it leads is not known
        return False
    if any(ip in network for network in networks):
        return True
    if isinstance(ip, IPv6Address):
        inner = ip.ipv4_mapped or (ip_address(ip.packed[-4:]) if ip in _NAT64 else None)
        if inner is not None:
            return is_allowed(str(inner), networks)
        if ip.is_site_local:
            return False
    return (
        ip.is_global
        and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)
        and not (ip.is_loopback or ip.is_link_local)
        and not any(ip in network for network in _NEVER_PUBLIC)
    )
