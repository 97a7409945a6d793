"""What browsers may ask: nothing by a foreign name, and no change for a foreign page.

A browser lets every page that somebody visits send requests to every address, loopback too. Only
the answers are kept from the page, which does not help when the request itself does harm. So each
request passes here before anything else looks at it.
"""

from collections.abc import Mapping
from typing import Any

import falcon

from task_queue.api.hosts import Hosts
from task_queue.api.responses import problems
from task_queue.api.responses.errors import InvalidRequestError

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
"""The methods that change nothing."""
_OWN_SITES = frozenset({"same-origin", "none"})
"""What `Sec-Fetch-Site` says of a page of this origin, and of what the user typed."""
_FROM_BROWSERS = ("HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE", "HTTP_SEC_FETCH_MODE")
_NOT_FOR_OTHERS = {
    # Or a page could load an answer as a picture or a script and learn from what happens.
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_MAX_SHOWN_CHARS = 100


class OwnOrigin:
    """Refuses requests for other hosts, and changes that a page of another origin caused."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Look at where the request wants to go, and at where it comes from.

        Raises:
            InvalidRequestError: It is refused.
        """
        check_host(self._hosts, req.env)
        if req.method in _READS:
            resp.set_headers(_NOT_FOR_OTHERS)
        else:
            check_origin(req.env)


def check_host(hosts: Hosts, env: Mapping[str, Any]) -> None:
    """Accept a request for this server.

    Raises:
        InvalidRequestError: It is for another one.
    """
    host = env.get("HTTP_HOST")
    # Without one it is HTTP/1.0, which no browser speaks.
    if host is not None and not hosts.know(host):
        detail = (
            f"Host {_shown(host)} is not a name of this server; its names are localhost,"
            " http.host and those in http.allowed_hosts"
        )
        raise InvalidRequestError("unknown host", detail, problems.UNKNOWN_HOST)


def check_origin(env: Mapping[str, Any]) -> None:
    """Accept a request that changes something, an entry of the audit log included.

    Raises:
        InvalidRequestError: A page of another origin caused it.
    """
    if (stranger := foreign_source(env)) is not None:
        detail = f"a page of another origin may change nothing here: {stranger}"
        raise InvalidRequestError("foreign origin", detail, problems.FOREIGN_ORIGIN)


def comes_from_a_browser(env: Mapping[str, Any]) -> bool:
    """Return whether a browser says that it has sent this."""
    return any(name in env for name in _FROM_BROWSERS)


def foreign_source(env: Mapping[str, Any]) -> str | None:
    """Return which header says that a page of another origin caused the request.

    Browsers send `Sec-Fetch-Site` to loopback and over TLS, and `Origin` everywhere, with all
    methods that change something. Those from before 2020 left both out for forms, and only
    `Referer` remains. All three are out of a page's reach, but for leaving out the last.
    """
    site = env.get("HTTP_SEC_FETCH_SITE")
    if site is not None and site not in _OWN_SITES:
        return f"Sec-Fetch-Site is {_shown(site)}"
    host = env.get("HTTP_HOST", "")
    for name, key in (("Origin", "HTTP_ORIGIN"), ("Referer", "HTTP_REFERER")):
        if (source := env.get(key)) is not None:
            if _is_at(source, host):
                return None
            return f"{name} is {_shown(source)}, and Host is {_shown(host)}"
    return None


def _is_at(source: str, host: str) -> bool:
    """Return whether the origin, or the URL, is one of this host.

    Which of the two schemes it has says nothing: a proxy may speak TLS for this server.
    """
    scheme, _, rest = source.lower().partition("://")
    port = {"http": ":80", "https": ":443"}.get(scheme)
    if port is None:
        return False
    return rest.partition("/")[0].removesuffix(port) == host.lower().removesuffix(port)


def _shown(value: str) -> str:
    return value or '""' if len(value) <= _MAX_SHOWN_CHARS else f"{value[:_MAX_SHOWN_CHARS]}…"
