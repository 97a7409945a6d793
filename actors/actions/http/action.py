"""An HTTP request as an action: the data is sent, the answer is the result."""

import socket
import ssl
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from ipaddress import ip_network
from typing import Any

import httpcore
import httpx
import orjson

from task_queue.actors.actions.action import Done
from task_queue.actors.actions.call import Call
from task_queue.actors.actions.http.addresses import address_of, host, site, with_query
from task_queue.actors.actions.http.answer import is_delivered, outcome_of
from task_queue.actors.actions.http.connection import (
    AddressRefusedError,
    Connector,
    Resolver,
    Stream,
    default_ssl_context,
)
from task_queue.actors.actions.http.request import FIXED_HEADERS, REDIRECTS, HttpRequest
from task_queue.actors.errors import ActionLoadError, InvalidDataError, Reject, TimedOut
from task_queue.actors.tasks.failures import Ended
from task_queue.actors.tasks.settlement import Failure
from task_queue.actors.tasks.text import one_line, shown

MAX_REDIRECTS = 5
WITHOUT_BODY = {"GET", "DELETE"}
"""The methods whose data goes into the query."""
URL_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"url": {"type": "string", "format": "uri"}},
}


class _UnreadableError(Exception):
    """The headers of an answer of 2xx cannot be read; it never leaves `HttpAction.run`."""


class HttpAction:
    """Sends the data to an address, signed as Standard Webhooks asks for."""

    kind = "http"
    execution = "thread"

    def __init__(  # noqa: PLR0913 - what the settings say of it
        self,
        *,
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
        self._secrets = secrets
        self._url_in_data = url_in_data
        self._follow_redirects = follow_redirects
        self._retried = retried
        self._max_result_bytes = max_result_bytes
        self._now = now
        self._ssl_context = ssl_context
        self._connector = Connector(tuple(map(ip_network, allow_networks)), resolve)

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
            Reject: The answer says that the request is at fault, or nothing may be sent there.
            Ended: There is no answer, or it says that the data may be sent again.
            Cancelled: Somebody asked for it.
            TimedOut: It took too long.
        """
        try:
            return self._delivered(call)
        except _UnreadableError:
            return Done("null", "the answer was not kept: its headers cannot be read")

    def _delivered(self, call: Call) -> Done:
        request = self._first(call.claimed.data)
        first_site, timestamp = site(request.url), int(self._now())
        for _ in range(1 + MAX_REDIRECTS):
            with self._answered(request, timestamp, call) as response:
                headers = httpx.Headers(response.headers)
                if not (
                    self._follow_redirects
                    and response.status in REDIRECTS
                    and "location" in headers
                ):
                    return outcome_of(
                        request.url,
                        response,
                        retried=self._retried,
                        max_result_bytes=self._max_result_bytes,
                        now=self._now(),
                    )
                request = request.redirected(response.status, headers["location"])
        raise Reject(f"{first_site} redirects more than {MAX_REDIRECTS} times")

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

    @contextmanager
    def _answered(
        self, request: HttpRequest, timestamp: int, call: Call
    ) -> Iterator[httpcore.Response]:
        """Send a request; close its connection at the end of the block.

        A connection serves one request. So every address is checked, no connection has to be closed
        at shutdown, and nobody has to guess whether an old one still works.

        Yields:
            The answer, whose body is yet to be read.
        """
        url = request.url
        target = httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        )
        peer = site(url) if url.port else f"{site(url)}:{target.origin.port}"
        own = self._headers if site(url) == site(self._url) else {}  # not where the data leads
        headers = request.headers(call.claimed.lease.task_id, timestamp, own, self._secrets)
        name = url.raw_host.decode()
        context = (self._ssl_context or default_ssl_context()) if url.scheme == "https" else None
        stream: Stream | None = None
        try:
            stream = self._connector.connect(name, target.origin.port, call)
            if context is not None:
                stream = stream.start_tls(context, name)
            with closing(httpcore.HTTP11Connection(target.origin, stream)) as connection:
                yield connection.handle_request(
                    httpcore.Request(request.method, target, headers=headers, content=request.body)
                )
        # `from None`: the causes may show what was sent.
        except AddressRefusedError as error:
            setting = f"actions.{call.claimed.action}.allow_networks"
            raise Reject(f"{peer} leads to {error}; {setting} can allow it") from None
        except httpcore.LocalProtocolError:
            text = f"{peer} was sent nothing: a header or the address is not valid"
            raise Ended(Failure(text)) from None
        except (httpcore.RemoteProtocolError, httpcore.ReadError, TimedOut) as error:
            if stream is not None and is_delivered(stream.beginning):
                raise _UnreadableError from None
            if isinstance(error, TimedOut):
                raise
            if isinstance(error, httpcore.ReadError):
                raise Ended(Failure(f"{peer} {error}")) from None
            text = f"{peer} gave no proper answer: {one_line(str(error))}"
            raise Ended(Failure(text)) from None
        except (httpcore.NetworkError, httpcore.TimeoutException) as error:
            raise Ended(Failure(f"{peer} {error}")) from None
