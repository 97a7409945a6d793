"""An HTTP request as an action: the data is sent, the answer is the result."""

import socket
import ssl
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from ipaddress import ip_network
from typing import Any

import httpx
import orjson

from task_queue.actors.actions.action import Done
from task_queue.actors.actions.call import Call
from task_queue.actors.actions.http.addresses import address_of, host, site, with_query
from task_queue.actors.actions.http.connection import Resolver
from task_queue.actors.actions.http.request import FIXED_HEADERS, HttpRequest
from task_queue.actors.actions.http.sender import Sender
from task_queue.actors.errors import ActionLoadError, InvalidDataError, Reject
from task_queue.actors.tasks.text import shown

WITHOUT_BODY = {"GET", "DELETE"}
"""The methods whose data goes into the query."""
URL_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"url": {"type": "string", "format": "uri"}},
}


class HttpAction:
    """Sends the data to an address, signed as Standard Webhooks asks for."""

    kind = "http"
    execution = "thread"

    def __init__(  # noqa: PLR0913 - what the settings say of it
        self,
        *,
        name: str,
        url: str,
        method: str,
        headers: Mapping[str, str],
        secrets: Sequence[bytes],
        url_in_data: bool,
        allow_networks: Sequence[str],
        follow_redirects: bool,
        retried: Collection[int],
        timeout_seconds: float,
        overdue_seconds: float,
        max_result_bytes: int,
        now: Callable[[], float] = time.time,
        ssl_context: ssl.SSLContext | None = None,
        resolve: Resolver = socket.getaddrinfo,
    ) -> None:
        """Store what is needed; nothing is connected to yet.

        Args:
            name: What it is called in the settings.
            url: Where to, with http or https.
            method: GET, POST, PUT, PATCH or DELETE.
            headers: More headers to send, printable ASCII; `FIXED_HEADERS` among them are ignored.
            secrets: The keys that sign; none: nothing is signed.
            url_in_data: Whether a `url` in the data takes the place of the address.
            allow_networks: Where addresses need not be public.
            follow_redirects: Whether to go where a redirect leads.
            retried: The statuses after which the data is sent again.
            timeout_seconds: See `Action`.
            overdue_seconds: See `Action`.
            max_result_bytes: How long the answer may be.
            now: The present moment, Unix seconds.
            ssl_context: Whom to trust; None: the usual authorities.
            resolve: Finds the addresses of a name.

        Raises:
            ActionLoadError: No request can go to the address.
        """
        if (address := address_of(url)) is None:
            raise ActionLoadError("no request can go to the address in http")
        peer = host(address)
        self.description = (
            f"Sends the data to the url in it, or else to {peer}"
            if url_in_data
            else f"Sends the data to {peer}"
        )
        self.schema = URL_SCHEMA if url_in_data else None
        self.timeout_seconds = timeout_seconds
        self.overdue_seconds = overdue_seconds
        self._url = address
        self._method = method
        self._headers = {
            name.lower(): text
            for name, text in headers.items()
            if name.lower() not in FIXED_HEADERS
        }
        self._url_in_data = url_in_data
        self._sender = Sender(
            secrets=secrets,
            networks=tuple(map(ip_network, allow_networks)),
            allowed_by=f"actions.{name}.allow_networks",
            follow_redirects=follow_redirects,
            retried=retried,
            max_result_bytes=max_result_bytes,
            now=now,
            ssl_context=ssl_context,
            resolve=resolve,
        )

    def check(self, data: str) -> None:
        """Accept the data, a JSON object as text.

        Raises:
            InvalidDataError: Its `url` is no address.
        """
        if self._url_in_data:
            self._url_for(orjson.loads(data))

    def run(self, call: Call) -> Done:
        """Send the data, and return the answer.

        Raises:
            Reject: The data makes no request; and see `Sender.send`, as for the others.
        """
        request = self._first(call.claimed.data)
        own = self._headers if site(request.url) == site(self._url) else {}  # not where data leads
        return self._sender.send(request, call, own)

    def _url_for(self, members: Mapping[str, Any]) -> httpx.URL:
        """Return where data with these members goes.

        Raises:
            InvalidDataError: Its `url` is no address.
        """
        if not self._url_in_data or "url" not in members:
            return self._url
        value = members["url"]
        if (url := address_of(value)) is None:
            problem = f"must be an address that begins with http:// or https://, not {shown(value)}"
            raise InvalidDataError("data.url", problem)
        return url

    def _first(self, data: str) -> HttpRequest:
        """Return the request for this data.

        Raises:
            Reject: The data makes no request.
        """
        has_body = self._method not in WITHOUT_BODY
        if has_body and not self._url_in_data:
            return HttpRequest(self._method, self._url, data.encode())
        members = orjson.loads(data)
        try:
            url = self._url_for(members)
        except InvalidDataError as error:  # the settings have changed since it was published
            raise Reject(str(error)) from None
        if self._url_in_data and members.pop("url", None) is not None:
            data = orjson.dumps(members).decode()
        if has_body:
            return HttpRequest(self._method, url, data.encode())
        try:
            return HttpRequest(self._method, with_query(url, members), None)
        except httpx.InvalidURL:
            raise Reject("the data is too long for the query of an address") from None
