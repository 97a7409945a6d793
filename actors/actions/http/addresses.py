"""Addresses of requests: which can be one, and what of them may be shown."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import httpx
import orjson

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_SHOWN_CHARS = 200
"""What is shown of a path, or of any foreign text."""


def address_of(text: object) -> httpx.URL | None:
    """The address, if it is one to which a request can go."""
    if not isinstance(text, str):
        return None
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        return None
    return url if _takes_requests(url) else None


def with_query(url: httpx.URL, members: Mapping[str, Any]) -> httpx.URL:
    """The address, with these members after what its query has already."""
    texts = {
        name: value if isinstance(value, str) else orjson.dumps(value).decode()
        for name, value in members.items()
    }
    parts = [url.query, urlencode(texts).encode()]
    return url.copy_with(query=b"&".join(part for part in parts if part)) if texts else url


def joined(url: httpx.URL, location: str) -> httpx.URL | None:
    """Where a redirect leads, without the user it names; None: to no address."""
    try:
        joined = url.join(location).copy_with(userinfo=url.userinfo)
    except (httpx.InvalidURL, ValueError):
        return None
    return joined if _takes_requests(joined) else None


def place(url: httpx.URL, location: str) -> str:
    """Where a redirect leads, without what may be a secret.

    That is the query, and the path that was asked for: redirects often lead to the same one.
    """
    if (target := joined(url, location)) is None:
        return "no address"
    own, path = url.path.strip("/"), target.path
    return f"{site(target)}{'/…' if own and own in path else line(path)}"


def host(url: httpx.URL) -> str:
    """The host, with the port if it is not the usual one; no user."""
    return url.netloc.decode()


def site(url: httpx.URL) -> str:
    """The scheme, the host, and the port if it is not the usual one."""
    return f"{url.scheme}://{host(url)}"


def line(text: str) -> str:
    """The text in one line, printable, cut at `MAX_SHOWN_CHARS`."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.split())[:MAX_SHOWN_CHARS]


def _takes_requests(url: httpx.URL) -> bool:
    port = url.port
    return (
        url.scheme in DEFAULT_PORTS and bool(url.raw_host) and (port is None or 0 < port < 65_536)  # noqa: PLR2004 - TCP's
    )
