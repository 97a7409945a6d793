"""Sends a request, to the end of its redirects, and tells what the answer means."""

import socket
import ssl
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import httpcore
import httpx

from task_queue.actors.actions.action import Done
from task_queue.actors.actions.call import Call
from task_queue.actors.actions.http.addresses import site
from task_queue.actors.actions.http.answer import is_delivered, outcome_of
from task_queue.actors.actions.http.connection import (
    AddressRefusedError,
    Connector,
    Resolver,
    Stream,
    default_ssl_context,
)
from task_queue.actors.actions.http.networks import Network
from task_queue.actors.actions.http.request import REDIRECTS, HttpRequest
from task_queue.actors.errors import Reject, TimedOut
from task_queue.actors.tasks.failures import Ended
from task_queue.actors.tasks.settlement import Failure
from task_queue.actors.tasks.text import one_line

MAX_REDIRECTS = 5


class _UnreadableError(Exception):
    """The headers of an answer of 2xx cannot be read; it never leaves `Sender.send`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Sends requests to addresses that are allowed, signed as Standard Webhooks asks for.

    Attributes:
        secrets: The keys that sign; none: nothing is signed.
        networks: Where addresses need not be public.
        allowed_by: The setting that says so.
        follow_redirects: Whether to go where a redirect leads.
        retried: The statuses after which a request is sent again.
        max_result_bytes: How long an answer may be.
        now: The present moment, Unix seconds.
        ssl_context: Whom to trust; None: the usual authorities.
        resolve: Finds the addresses of a name.
    """

    secrets: Sequence[bytes]
    networks: Sequence[Network]
    allowed_by: str
    follow_redirects: bool
    retried: Collection[int]
    max_result_bytes: int
    now: Callable[[], float] = time.time
    ssl_context: ssl.SSLContext | None = None
    resolve: Resolver = socket.getaddrinfo

    def send(self, request: HttpRequest, call: Call, own: Mapping[str, str]) -> Done:
        """Send the request, and return the answer.

        The trace of the task goes along. With `traces.enabled` that is the span of this attempt.
        Otherwise it goes as it is: no span is recorded, and a `parent-id` that nobody has recorded
        would tear the trace apart. W3C lets those in between do so.

        Args:
            request: The first one.
            call: The run that it is made for; the request has the id of its task.
            own: More headers, in lower case; sent to the first origin only, as the trace is.

        Raises:
            Reject: The answer says that the request is at fault, or nothing may be sent there.
            Ended: There is no answer, or it says that the data may be sent again.
            Cancelled: Somebody asked for it.
            TimedOut: It took too long.
        """
        terms = call.claimed.terms
        trace = {"traceparent": terms.traceparent, "tracestate": terms.tracestate}
        headers = {name: text for name, text in trace.items() if text is not None} | dict(own)
        try:
            return self._delivered(request, call, headers)
        except _UnreadableError:
            return Done("null", "the answer was not kept: its headers cannot be read")

    def _delivered(self, request: HttpRequest, call: Call, own: Mapping[str, str]) -> Done:
        first_site, timestamp = site(request.url), int(self.now())
        for _ in range(1 + MAX_REDIRECTS):
            headers = request.headers(call.claimed.lease.task_id, timestamp, own, self.secrets)
            with self._answered(request, headers, call) as response:
                answered = httpx.Headers(response.headers)
                if not (
                    self.follow_redirects
                    and response.status in REDIRECTS
                    and "location" in answered
                ):
                    return outcome_of(
                        request.url,
                        response,
                        retried=self.retried,
                        max_result_bytes=self.max_result_bytes,
                        now=self.now(),
                    )
                request = request.redirected(response.status, answered["location"])
        raise Reject(f"{first_site} redirects more than {MAX_REDIRECTS} times")

    @contextmanager
    def _answered(
        self, request: HttpRequest, headers: Sequence[tuple[str, str]], call: Call
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
        name = url.raw_host.decode()
        context = (self.ssl_context or default_ssl_context()) if url.scheme == "https" else None
        stream: Stream | None = None
        try:
            stream = Connector(self.networks, self.resolve).connect(name, target.origin.port, call)
            if context is not None:
                stream = stream.start_tls(context, name)
            with closing(httpcore.HTTP11Connection(target.origin, stream)) as connection:
                yield connection.handle_request(
                    httpcore.Request(request.method, target, headers=headers, content=request.body)
                )
        # `from None`: the causes may show what was sent.
        except AddressRefusedError as error:
            raise Reject(f"{peer} leads to {error}; {self.allowed_by} can allow it") from None
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
