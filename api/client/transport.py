"""The two ways to send a request: by httpx, blocking or awaited."""

from dataclasses import dataclass
from typing import Any

import httpx

from task_queue.api.client.errors import AddressError
from task_queue.api.client.flow import Send
from task_queue.api.client.request import Answer, NoAnswer
from task_queue.config.server_address import server_key, server_url

UNIX = "unix:"
"""What the address of a Unix socket begins with, as in `unix:/run/task-queue/http.sock`."""

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is, and as whom it is asked.

    Attributes:
        url: What paths are put behind, without a slash at the end.
        headers: Those of every request; they may hold the key.
        uds: The Unix socket it listens at; None: it is found by the URL.
    """

    url: str
    headers: dict[str, str]
    uds: str | None

    def __repr__(self) -> str:
        """Leave the key out."""
        return f"Address({self.uds or self.url!r})"

    @classmethod
    def of(cls, url: str | None, key: str | None) -> "Address":
        """Return what is given, else what the environment says.

        Raises:
            AddressError: It is no URL with http or https, nor a Unix socket's.
        """
        given = server_url() if url is None else url
        key = server_key() if key is None else key
        headers = {"User-Agent": "task-queue-client"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        if given.startswith(UNIX):
            return cls("http://localhost", headers, given.removeprefix(UNIX))
        try:
            parsed = httpx.URL(given)
        except httpx.InvalidURL as error:
            message = f"the server's URL {given!r} cannot be read: {error}"
            raise AddressError(message) from error
        if parsed.scheme not in {"http", "https"} or not parsed.host or parsed.query:
            message = (
                f"the server's URL must be like http://127.0.0.1:8080, https://example.com/queue or"
                f" unix:/run/task-queue.sock, not {given!r}"
            )
            raise AddressError(message)
        return cls(given.rstrip("/"), headers, None)

    def arguments(self, send: Send) -> dict[str, Any]:
        """Return the arguments of `httpx.Client.request` for this."""
        request = send.request
        return {
            "method": request.method,
            "url": self.url + request.path,
            "content": request.body,
            "headers": self.headers | request.all_headers,
            "timeout": send.timeout_seconds,
        }


def answer_of(response: httpx.Response) -> Answer:
    """Return what came back."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(status=response.status_code, headers=headers, content=response.content)


def no_answer(address: Address, error: httpx.RequestError) -> NoAnswer:
    """Return why nothing came back."""
    where = address.uds or address.url
    if isinstance(error, httpx.TimeoutException):
        why = f"no answer from {where} in time"
    else:
        why = f"no answer from {where}: {error or type(error).__name__}"
    return NoAnswer(why=why, was_sent=not isinstance(error, _NOT_SENT))
