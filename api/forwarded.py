"""Who asks, and by which URL, where a proxy stands in between.

A proxy tells it in `X-Forwarded-…`, which anybody else can send, too. So these headers are believed
from `http.trusted_proxies` alone. waitress can read them, but knows a single proxy by its address,
counts the addresses of a chain instead of looking at them, and takes any text for one of a client.

`Forwarded` (RFC 7239) is not read: a proxy that writes the one kind of headers passes on what its
client has made up in the other.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import ip_network
from typing import Any

import falcon

from task_queue.actors.tasks.text import cut, named
from task_queue.api.hosts import HOST, Hosts, address_of
from task_queue.api.origin import check_host
from task_queue.api.responses import problems
from task_queue.api.responses.errors import InvalidRequestError
from task_queue.api.responses.urls import put_back
from task_queue.config.names import URL_PREFIX_RULE, is_url_prefix

UNIX = "unix"
"""The address of all clients of a Unix socket, which have none."""
MAX_VERDICTS = 1_024
"""How many addresses are remembered with whether they are of proxies."""

_NODE = re.compile(r"(\[[0-9a-fA-F:.]+\]|[0-9.]+)(?::[0-9]+)?|([0-9a-fA-F:.]+)")


class BehindProxies:
    """Puts what trusted proxies tell into the request's environ, where everything else looks.

    `REMOTE_ADDR` is the client's address then, `HTTP_HOST` the host it asked for, `wsgi.url_scheme`
    how, and `SCRIPT_NAME` the part of the path that the proxy has taken off.
    """

    def __init__(self, hosts: Hosts, trusted: Iterable[str]) -> None:
        """Keep who is believed.

        Args:
            hosts: What a proxy itself may ask for.
            trusted: Addresses and networks; `unix` is whoever can reach the Unix socket.
        """
        self._hosts = hosts
        names = set(trusted)
        self._trusts_socket = UNIX in names
        self._networks = [ip_network(name) for name in names - {UNIX}]
        self._trusts = lru_cache(MAX_VERDICTS)(self._is_trusted)

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        """Take what the proxy tells, if it is one of ours.

        Raises:
            InvalidRequestError: It tells what cannot be, or asks for another server.
        """
        put_back("")
        env = req.env
        if not self._trusts(env["REMOTE_ADDR"]):
            return
        if (chain := env.get("HTTP_X_FORWARDED_FOR")) is not None:
            env["REMOTE_ADDR"] = env["REMOTE_HOST"] = self._client(chain)
        if (host := _last(env, "HOST")) is not None:
            if not HOST.fullmatch(host):
                raise _malformed("Host", host, "a name or an address, with a port or without")
            # Or a page whose own name was given the address of this server, on the machine of the
            # proxy, could make up the other one.
            check_host(self._hosts, env)
            env["HTTP_HOST"] = host
        if (scheme := _last(env, "PROTO")) is not None:
            if scheme.lower() not in {"http", "https"}:
                raise _malformed("Proto", scheme, "http or https")
            env["wsgi.url_scheme"] = scheme.lower()
        if (given := _last(env, "PREFIX")) is not None:
            if not is_url_prefix(prefix := given.removesuffix("/")):
                raise _malformed("Prefix", given, URL_PREFIX_RULE)
            env["SCRIPT_NAME"] = prefix
            put_back(prefix)

    def _client(self, chain: str) -> str:
        """Return the address nearest to us that is no proxy's; the farthest if all are proxies.

        Each proxy writes behind what it was sent whom it was sent it by. What stands further left
        than the first stranger, the stranger may have made up.
        """
        for node in reversed(chain.split(",")):
            parts = _NODE.fullmatch(node.strip())
            address = parts and address_of(parts[1] or parts[2])
            if not address:
                raise _malformed("For", node.strip(), "addresses, separated by commas")
            if not self._trusts(str(address)):
                break
        return str(address)

    def _is_trusted(self, peer: str) -> bool:
        if peer == UNIX:
            return self._trusts_socket
        address = address_of(peer)
        return address is not None and any(address in network for network in self._networks)


class Below:
    """Serves all URLs below a prefix, and nothing elsewhere."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        """Move the prefix from the path to where WSGI has what is in front of it.

        Raises:
            InvalidRequestError: The path does not begin with it.
        """
        path, prefix = req.path, self._prefix
        if not f"{path}/".startswith(f"{prefix}/"):
            message = (
                f"there is no {cut(path)}; all URLs are below {prefix}, as http.url_prefix says"
            )
            raise InvalidRequestError("not found", message, problems.NOT_FOUND)
        req.env["SCRIPT_NAME"] += prefix
        req.env["PATH_INFO"] = req.env["PATH_INFO"].removeprefix(prefix)
        req.path = path.removeprefix(prefix) or "/"


def _last(env: Mapping[str, Any], name: str) -> str | None:
    """Return what the nearest proxy says in this header, be it behind what it was sent."""
    value = env.get(f"HTTP_X_FORWARDED_{name}")
    return None if value is None else value.rpartition(",")[2].strip()


def _malformed(name: str, value: str, allowed: str) -> InvalidRequestError:
    message = f"X-Forwarded-{name} of a proxy must be {allowed}, not {named(value)}"
    return InvalidRequestError(message)
