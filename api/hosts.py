"""The names and addresses by which this server may be asked for."""

import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

MAX_VERDICTS = 128
"""How many `Host` headers are remembered with what came of them. A server is asked by a few."""

HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[0-9a-zA-Z._-]+)(?::[0-9]*)?")
"""What a `Host` header may be; its group is the name, or the address."""


class Hosts:
    """What a `Host` header may name; the port may be any, as a proxy may have another.

    A page of the web can give its own name the address of this server and is then, for the
    browser, a page of this server (DNS rebinding). Only the name in `Host` tells them apart. An
    address cannot be made to mean another one, so a server that listens on all of its own takes
    every address.
    """

    def __init__(self, listens_on: Collection[str], allowed: Iterable[str], machine: str) -> None:
        """Keep what is ours.

        Args:
            listens_on: The name or address of the settings, and what that stands for.
            allowed: Further names and addresses; one that begins with a dot is all names below it.
            machine: The machine's name, which counts if the server listens on all addresses.
        """
        own = [address_of(each) for each in listens_on]
        self._takes_every_address = any(address and address.is_unspecified for address in own)
        machines = [machine] if self._takes_every_address else []
        named = [_normal(name) for name in ("localhost", *listens_on, *machines, *allowed)]
        self._known = {address_of(name) or name for name in named}
        self._suffixes = tuple(name for name in named if name.startswith("."))
        self.know = lru_cache(MAX_VERDICTS)(self._know)

    def _know(self, host: str) -> bool:
        """Return whether the value of a `Host` header names this server."""
        if (parts := HOST.fullmatch(host)) is None:
            return False
        name = _normal(parts[1])
        if (address := address_of(name)) is not None:
            return self._takes_every_address or address.is_loopback or address in self._known
        return name in self._known or name.endswith(self._suffixes)


def _normal(name: str) -> str:
    """Return the name as it is compared: a dot at the end says only that it is complete."""
    return name.lower().removesuffix(".")


def address_of(name: str) -> IPv4Address | IPv6Address | None:
    """Return the address, in brackets or not; None: it is a name."""
    try:
        address = ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
