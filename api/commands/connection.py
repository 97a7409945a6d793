"""The connection to a server: with which key, what is said when there is none, exit codes."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from task_queue.api.client.address import address_of
from task_queue.api.client.blocking import Client
from task_queue.api.client.errors import (
    AddressError,
    ClientError,
    NotAllowedError,
    RefusedError,
    UnavailableError,
)
from task_queue.api.client.flow import Patience
from task_queue.api.client.transport import over_network
from task_queue.api.commands.errors import (
    FAILED,
    INTERRUPTED,
    NO_SERVER,
    NOT_ALLOWED,
    WRONG_USAGE,
    CommandError,
    UsageError,
)
from task_queue.config.server_address import KEY_VARIABLE, URL_VARIABLE, server_url

ANSWER_SECONDS = 35.0
"""How long an answer may take, as a purge takes up to 30 seconds; and how long a server that was
there is asked again while it is away or busy."""
_WRONG = frozenset({400, 413, 422})
"""The statuses of a request whose values are wrong."""


@contextmanager
def opened(url: str | None, key_file: Path | None) -> Iterator[tuple[str, Client, "Transport"]]:
    """Yield the address, the client and how it sends; see `connected`."""
    address = url or server_url()
    try:
        transport = Transport(address)
        patience = Patience(deadline_seconds=ANSWER_SECONDS, answer_seconds=ANSWER_SECONDS)
        with Client(address, _key(key_file), patience=patience, transport=transport) as client:
            yield address, client, transport
    except ClientError as error:
        raise CommandError(_sentence(error), _exit_code(error)) from error
    except json.JSONDecodeError as error:
        message = f"what answers at {address} is no task-queue: it answered no JSON"
        raise CommandError(message, NO_SERVER) from error
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        raise SystemExit(INTERRUPTED) from None


class Transport(httpx.BaseTransport):
    """Sends requests; a server that was not reached once is not asked again and again.

    Attributes:
        date: The header `Date` of the last answer.
        is_patient: Whether one that was reached before is asked again and again.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._inner = over_network(address_of(address, None))
        self.date: str | None = None
        self.is_patient = True
        self._was_reached = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; return its answer.

        Raises:
            CommandError: No server was ever reached.
        """
        try:
            response = self._inner.handle_request(request)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            if self._was_reached and self.is_patient:
                raise
            why = "it takes too long" if isinstance(error, httpx.ConnectTimeout) else str(error)
            message = (
                f"no server can be reached at {self._address} ({why}): start one with"
                f" `task-queue serve`, or name another with --url or {URL_VARIABLE}"
            )
            raise CommandError(message, NO_SERVER) from error
        self._was_reached = True
        self.date = response.headers.get("date")
        return response

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()


def _key(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        key = file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it holds no key"
        raise UsageError(f"--key-file: cannot read {file}: {why}") from error
    if not key or not key.isprintable() or " " in key:
        raise UsageError(f"--key-file: {file} must hold one key, and nothing else")
    return key


def _sentence(error: ClientError) -> str:
    text = " ".join(str(error).split("\n"))
    if isinstance(error, NotAllowedError):
        return f"{text}; a key is given by {KEY_VARIABLE} or --key-file"
    return text


def _exit_code(error: ClientError) -> int:
    if isinstance(error, NotAllowedError):
        return NOT_ALLOWED
    if isinstance(error, UnavailableError):
        return NO_SERVER
    is_wrong = isinstance(error, RefusedError) and error.status in _WRONG
    return WRONG_USAGE if is_wrong or isinstance(error, AddressError) else FAILED
