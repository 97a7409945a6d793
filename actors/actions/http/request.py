"""A request to somewhere else as an action: the data goes there, the answer is the result."""

import math
import re
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import cache
from hashlib import sha256
from hmac import digest
from ipaddress import ip_network
from typing import Any, NamedTuple

import httpcore
import httpx
import orjson

from task_queue.actors.actions.action import Done
from task_queue.actors.actions.call import Call
from task_queue.actors.actions.http.addresses import (
    address_of,
    host,
    joined,
    line,
    place,
    site,
    with_query,
)
from task_queue.actors.actions.http.connection import AddressRefusedError, Connector, Resolver
from task_queue.actors.actions.result import foreign_text, too_long
from task_queue.actors.errors import ActionLoadError, InvalidDataError, Reject, RetryLater
from task_queue.actors.tasks.failures import Ended
from task_queue.actors.tasks.settlement import MAX_POSTPONE_SECONDS, Failure

MAX_REDIRECTS = 5
MAX_SHOWN_CHARS = 60
"""What an error shows of a value."""
MAX_ERROR_BYTES = 4_096
"""What is read of an answer that says that the task failed."""

WITHOUT_BODY = {"GET", "DELETE"}
"""The methods whose data goes into the query."""
REDIRECTS = {301, 302, 303, 307, 308}
ASKS_FOR_LATER = {429, 503}
TOO_MANY_REQUESTS = 429
FIXED_HEADERS = {
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    # They say where the request ends.
    "connection",
    "content-length",
    "transfer-encoding",
}
"""What the settings cannot replace."""
URL_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"url": {"type": "string", "format": "uri"}},
}


class _Request(NamedTuple):
    """What is sent.

    Attributes:
        method: As HTTP spells it.
        url: Where to.
        body: JSON; None: there is none.
        is_first_origin: Whether every request before it went to the same scheme, host and port, so
            that it may have the headers of the settings and the signature.
    """

    method: str
    url: httpx.URL
    body: bytes | None
    is_first_origin: bool = True


class Webhook:
    """Sends the data to an address, signed as Standard Webhooks asks for."""

    kind = "http"
    execution = "thread"

    def __init__(  # noqa: PLR0913 - what the settings say of it
        self,
        *,
        url: str,
        method: str,
        headers: Mapping[str, str],
        secret: bytes | None,
        url_in_data: bool,
        allow_networks: Sequence[str],
        follow_redirects: bool,
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
            headers: What is sent besides, printable ASCII; none of `FIXED_HEADERS`.
            secret: The key that signs; None: nothing is signed.
            url_in_data: Whether a `url` in the data takes the place of the address.
            allow_networks: Where addresses need not be public.
            follow_redirects: Whether to go where a redirect leads.
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
        shown = host(address)
        self.description = (
            f"Sends the data to the url in it, or else to {shown}"
            if url_in_data
            else f"Sends the data to {shown}"
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
        self._secret = secret
        self._url_in_data = url_in_data
        self._follow_redirects = follow_redirects
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
            RetryLater: The answer says when to ask again.
            Ended: There is no answer, or it says that the server is at fault.
            Cancelled: Somebody asked for it.
            TimedOut: It took too long.
        """
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
                    return self._settled(request.url, response, headers)
                request = _redirected(request, response.status, headers["location"])
        raise Reject(f"{first_site} redirects more than {MAX_REDIRECTS} times")

    def _url_for(self, members: Mapping[str, Any]) -> httpx.URL:
        """Where data with these members goes.

        Raises:
            InvalidDataError: Its `url` is no address.
        """
        if not self._url_in_data or "url" not in members:
            return self._url
        value = members["url"]
        if (url := address_of(value)) is None:
            shown = orjson.dumps(value).decode()
            if len(shown) > MAX_SHOWN_CHARS:
                shown = f"{shown[:MAX_SHOWN_CHARS]}…"
            problem = f"must be an address that begins with http:// or https://, not {shown}"
            raise InvalidDataError("data.url", problem)
        return url

    def _first(self, data: str) -> _Request:
        """The request for this data.

        Raises:
            Reject: There is none.
        """
        has_body = self._method not in WITHOUT_BODY
        if has_body and not self._url_in_data:
            return _Request(self._method, self._url, data.encode())
        members = orjson.loads(data)
        try:
            url = self._url_for(members)
        except InvalidDataError as error:  # the settings have changed since it was published
            raise Reject(str(error)) from None
        if self._url_in_data and members.pop("url", None) is not None:
            data = orjson.dumps(members).decode()
        if has_body:
            return _Request(self._method, url, data.encode())
        try:
            return _Request(self._method, with_query(url, members), None)
        except httpx.InvalidURL:
            raise Reject("the data is too long for the query of an address") from None

    @contextmanager
    def _answered(
        self, request: _Request, timestamp: int, call: Call
    ) -> Iterator[httpcore.Response]:
        """The answer to a request, whose connection is closed at the end of the block.

        A connection serves one request. So each is checked, none has to be closed at shutdown, and
        whoever asks need not guess whether an old one still works.
        """
        url = request.url
        target = httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        )
        peer = site(url) if url.port else f"{site(url)}:{target.origin.port}"
        headers = self._headers_of(request, call.claimed.lease.task_id, timestamp)
        name = url.raw_host.decode()
        context = (self._ssl_context or default_ssl_context()) if url.scheme == "https" else None
        try:
            stream = self._connector.connect(name, target.origin.port, call)
            if context is not None:
                stream = stream.start_tls(context, name)
            with closing(httpcore.HTTP11Connection(target.origin, stream)) as connection:
                yield connection.handle_request(
                    httpcore.Request(request.method, target, headers=headers, content=request.body)
                )
        # Nothing of how it came to that is passed on: it may show what was sent.
        except AddressRefusedError as error:
            setting = f"actions.{call.claimed.action}.allow_networks"
            raise Reject(f"{peer} leads to {error}; {setting} can allow it") from None
        except httpcore.LocalProtocolError:
            raise _failed(
                f"{peer} was sent nothing: a header or the address is not valid"
            ) from None
        except httpcore.RemoteProtocolError as error:
            raise _failed(f"{peer} gave no proper answer: {line(str(error))}") from None
        except (httpcore.NetworkError, httpcore.TimeoutException) as error:
            raise _failed(f"{peer} {error}") from None

    def _headers_of(self, request: _Request, task_id: str, timestamp: int) -> list[tuple[str, str]]:
        """The headers of a request."""
        headers = {
            "host": host(request.url),
            "user-agent": "task-queue",
            # An answer is kept as it comes: what is small must not unpack into what is not.
            "accept-encoding": "identity",
        }
        if request.body is not None:
            headers["content-type"] = "application/json"
        if request.is_first_origin:
            if request.url.userinfo:
                user = f"{request.url.username}:{request.url.password}".encode()
                headers["authorization"] = f"Basic {b64encode(user).decode()}"
            if site(request.url) == site(self._url):  # and not to wherever the data says
                headers |= self._headers
        headers |= {
            "connection": "close",
            "webhook-id": task_id,
            "webhook-timestamp": f"{timestamp}",
        }
        if request.body is not None:
            headers["content-length"] = f"{len(request.body)}"
        if self._secret is not None and request.is_first_origin:
            signed = f"{task_id}.{timestamp}.".encode() + (request.body or b"")
            signature = b64encode(digest(self._secret, signed, sha256)).decode()
            headers["webhook-signature"] = f"v1,{signature}"
        return list(headers.items())

    def _settled(self, url: httpx.URL, response: httpcore.Response, headers: httpx.Headers) -> Done:
        """What the answer makes of the task.

        Raises:
            Reject: See `run`.
            RetryLater: See `run`.
            Ended: See `run`.
        """
        status = response.status
        answered = f"{site(url)} answered {status}"
        encoding = line(headers.get("content-encoding", "identity")) or "identity"
        is_plain = encoding.lower() == "identity"
        if httpx.codes.is_success(status):
            if not is_plain:
                raise _failed(f"{answered} in an encoding that was not asked for: {encoding}")
            return Done(foreign_text(self._whole(response), self._max_result_bytes))
        if status in ASKS_FOR_LATER and "retry-after" in headers:
            seconds = retry_after_seconds(headers["retry-after"], self._now())
            if seconds is not None:
                later = f"{host(url)} answered {status}, to be asked again in {seconds} s"
                raise RetryLater(seconds, later)
        if httpx.codes.is_redirect(status):
            if "location" in headers:
                answered += f" and leads to {place(url, headers['location'])}, not followed"
            raise Reject(answered)
        if is_plain and (excerpt := _excerpt(response)):
            answered += f": {excerpt}"
        if httpx.codes.is_client_error(status) and status != TOO_MANY_REQUESTS:
            raise Reject(answered)
        raise _failed(answered)

    def _whole(self, response: httpcore.Response) -> bytes:
        """The body.

        Raises:
            Reject: It is too long; no more of it is read than it takes to know that.
        """
        body = bytearray()
        for chunk in response.iter_stream():
            body += chunk
            if len(body) > self._max_result_bytes:
                raise too_long(None, self._max_result_bytes)
        return bytes(body)


@cache
def default_ssl_context() -> ssl.SSLContext:
    """Trusts the usual authorities, or those in the file or directory that OpenSSL is told of.

    Those are `SSL_CERT_FILE` and `SSL_CERT_DIR`. To read them takes longer than most requests, so
    it is done once, when there is need.
    """
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def retry_after_seconds(text: str, now: float) -> int | None:
    """How many seconds a Retry-After asks for (RFC 9110, section 10.2.3); None: no telling.

    Args:
        text: Seconds, or a date.
        now: The present moment, Unix seconds.
    """
    text = text.strip()
    if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", text):
        seconds = float(text)
    else:
        try:
            date = parsedate_to_datetime(text)
            seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return math.ceil(max(0.0, min(seconds, MAX_POSTPONE_SECONDS)))


def _redirected(request: _Request, status: int, location: str) -> _Request:
    """The request that a redirect asks for (RFC 9110, section 15.4).

    Raises:
        Reject: It leads nowhere.
    """
    url = joined(request.url, location)
    if url is None:
        raise Reject(f"{site(request.url)} answered {status} and leads to no address")
    method, body = request.method, request.body
    if status == httpx.codes.SEE_OTHER or (
        status in {httpx.codes.MOVED_PERMANENTLY, httpx.codes.FOUND} and method == "POST"
    ):
        method, body = "GET", None
    # Once elsewhere, always elsewhere: who is elsewhere chose the rest of the way.
    is_first_origin = request.is_first_origin and site(url) == site(request.url)
    return _Request(method, url, body, is_first_origin)


def _excerpt(response: httpcore.Response) -> str:
    """The first words of the body."""
    body = bytearray()
    # What came is enough: the status counts, however the rest of the answer ends.
    with suppress(httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException):
        for chunk in response.iter_stream():
            body += chunk
            if len(body) >= MAX_ERROR_BYTES:
                break
    return line(body[:MAX_ERROR_BYTES].decode("utf-8", "replace"))


def _failed(text: str) -> Ended:
    return Ended(Failure(text))
