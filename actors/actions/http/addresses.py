"""Addresses of requests: which text is one, and which parts of it may be shown."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import httpx
import orjson

from task_queue.actors.tasks.text import one_line

DEFAULT_PORTS = {"http": 80, "https": 443}


def address_of(text: object) -> httpx.URL | None:
    """Return the address, if a request can go to it."""
    if not isinstance(text, str):
        return None
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        return None
    return url if _takes_requests(url) else None


def with_query(url: httpx.URL, members: Mapping[str, Any]) -> httpx.URL:
    """Return the address with these members added to its query."""
    texts = {
        name: value if isinstance(value, str) else orjson.dumps(value).decode()
        for name, value in members.items()
    }
    parts = [url.query, urlencode(texts).encode()]
    return url.copy_with(query=b"&".join(part for part in parts if part)) if texts else url


def joined(url: httpx.URL, location: str) -> httpx.URL | None:
    """Return where a redirect leads, without the user it names; None: to no address."""
    try:
        joined = url.join(location).copy_with(userinfo=url.userinfo)
    except (httpx.InvalidURL, ValueError):
        return None
    return joined if _takes_requests(joined) else None


def place(url: httpx.URL, location: str) -> str:
    """Return where a redirect leads, without what may be a secret.

    That is the query, and the path that was asked for: many redirects lead to the same path.
    """
    if (target := joined(url, location)) is None:
        return "no address"
    own, path = url.path.strip("/"), target.path
    return f"{site(target)}{'/…' if own and own in path else one_line(path)}"


def host(url: httpx.URL) -> str:
    """Return the host, with the port if it is not the scheme's own; without the user."""
    return url.netloc.decode()


def site(url: httpx.URL) -> str:
    """Return the scheme, the host, and the port if it is not the scheme's own."""
    return f"{url.scheme}://{host(url)}"


def _takes_requests(url: httpx.URL) -> bool:
    port = url.port
    has_host = bool(url.raw_host) and b"%20" not in url.raw_host  # a blank, as httpx has it
    return url.scheme in DEFAULT_PORTS and has_host and (port is None or 0 < port < 65_536)  # noqa: PLR2004 - TCP's
