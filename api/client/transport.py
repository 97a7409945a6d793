"""The two ways to send a request once: by httpx, blocking or awaited.

This is the only file of the client that imports httpx, and it is imported when a client is made:
an application that has the client at hand starts without it.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

import httpx

from task_queue.api.client.address import Address
from task_queue.api.client.flow import Send
from task_queue.api.client.in_place import in_place
from task_queue.api.client.request import Answer, NoAnswer

sleep_in_loop = asyncio.sleep
IN_PLACE = Address("http://queue", None, {})
"""Where what answers in place of the server is, whatever path the server is below."""
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class BlockingTransport:
    """Sends a request, and waits for its answer."""

    def __init__(self, address: Address, transport: httpx.BaseTransport | None) -> None:
        """Connect to nothing yet.

        Args:
            address: Where to.
            transport: By which way; None: over the network, or in a test to what answers there.
        """
        self._address, self._is_given = address, transport is not None
        self._http = httpx.Client(transport=transport or over_network(address))

    def send(self, send: Send) -> Answer | NoAnswer:
        """Return what came back."""
        instead = None if self._is_given else in_place()
        try:
            if instead is None:
                return _answer(self._http.request(**_arguments(self._address, send)))
            with httpx.Client(transport=instead, trust_env=False) as http:
                return _answer(http.request(**_arguments(IN_PLACE, send)))
        except httpx.RequestError as error:
            return _no_answer(self._address, error)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()


class AwaitedTransport:
    """Sends a request, and awaits its answer."""

    def __init__(self, address: Address, transport: httpx.AsyncBaseTransport | None) -> None:
        """Connect to nothing yet; see `BlockingTransport`."""
        self._address, self._is_given = address, transport is not None
        self._http = httpx.AsyncClient(
            transport=transport
            or httpx.AsyncHTTPTransport(uds=address.socket, verify=_verify(address))
        )

    async def send(self, send: Send) -> Answer | NoAnswer:
        """Return what came back."""
        instead = None if self._is_given else in_place()
        try:
            if instead is None:
                return _answer(await self._http.request(**_arguments(self._address, send)))
            async with httpx.AsyncClient(transport=instead, trust_env=False) as http:
                return _answer(await http.request(**_arguments(IN_PLACE, send)))
        except httpx.RequestError as error:
            return _no_answer(self._address, error)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()


def over_network(address: Address) -> httpx.HTTPTransport:
    """Return what connects to the address; it takes no proxies from the environment."""
    return httpx.HTTPTransport(uds=address.socket, verify=_verify(address))


def _verify(address: Address) -> ssl.SSLContext | bool:
    """Return what a server's certificate is checked with."""
    # To read all certificates takes a tenth of a second. Without TLS nobody needs to be trusted.
    return True if address.is_encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _arguments(address: Address, send: Send) -> Mapping[str, Any]:
    """Return the arguments of `httpx.Client.request`."""
    request = send.request
    return {
        "method": request.method,
        "url": address.url + request.path,
        "content": request.body,
        "headers": address.headers | request.all_headers,
        "timeout": send.timeout_seconds,
    }


def _answer(response: httpx.Response) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(status=response.status_code, headers=headers, content=response.content)


def _no_answer(address: Address, error: httpx.RequestError) -> NoAnswer:
    why = f"no answer from {address}"
    if isinstance(error, httpx.TimeoutException):
        why += " in time"
    elif str(error):
        why += f": {error}"
    return NoAnswer(why=why, was_sent=not isinstance(error, _NOT_SENT))
