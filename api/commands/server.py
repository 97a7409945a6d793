"""The server that a command asks, as the documents of its API."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from task_queue.api.commands.signatures import options_of, with_options

if TYPE_CHECKING:
    from task_queue.api.client.blocking import Client
    from task_queue.api.commands.connection import Transport

PAGE = 1000
"""The most that the server puts on a page."""


class Server:
    """A server, which answers with the documents of its API.

    Attributes:
        address: Its URL.
        client: What asks it.
    """

    def __init__(self, address: str, client: "Client", transport: "Transport") -> None:
        """Keep what asks."""
        self.address = address
        self.client = client
        self._transport = transport

    @property
    def date(self) -> str | None:
        """The header `Date` of its last answer."""
        return self._transport.date

    def ask_once(self) -> None:
        """Let a request fail at once if the server cannot be reached, also later."""
        self._transport.is_patient = False

    @staticmethod
    def path(*names: str) -> str:
        """Return the path below which something with these names is."""
        return "".join(f"/{quote(name, safe='')}" for name in names)

    def get(self, path: str, query: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Return what is there."""
        return self.client.request("GET", path, query=query)

    def post(
        self,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, object] | None = None,
        repeatable: bool = False,
    ) -> Any:  # noqa: ANN401 - JSON
        """Ask for a change; return what is answered."""
        return self.client.request("POST", path, query=query, body=body, repeatable=repeatable)

    def pages(
        self, path: str, query: Mapping[str, object], limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the pages of a listing of tasks, each as its document.

        Args:
            path: As in `/tasks`.
            query: The filters.
            limit: How many tasks at most; None: all.
        """
        cursor, left = None, limit
        while True:
            size = PAGE if left is None else min(left, PAGE)
            page = self.get(path, {**query, "limit": size, "cursor": cursor})
            yield page
            cursor, left = page["next_cursor"], left and left - len(page["tasks"])
            if cursor is None or left == 0:
                return


@contextmanager
def connected(
    *,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            envvar="TASK_QUEUE_URL",
            help="Where the server is; http://127.0.0.1:8080 unless given, or unix:/PATH.",
            show_default=False,
        ),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file", metavar="FILE", help="A file with the key; else TASK_QUEUE_KEY has it."
        ),
    ] = None,
) -> Iterator[Server]:
    """Yield the server; what it refuses ends the command with one line.

    Args:
        url: Where it is; None: on this machine.
        key_file: A file with the key; None: the environment may have one.

    Raises:
        CommandError: It is not there, refuses, or the command was interrupted.
    """
    # All commands are known at each start: `--help` waits for no HTTP.
    from task_queue.api.commands.connection import opened  # noqa: PLC0415

    with opened(url, key_file) as (address, client, transport):
        yield Server(address, client, transport)


def asks_server(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which server it asks; it gets the server first."""
    options = options_of(connected)

    def run(**values: Any) -> None:  # noqa: ANN401 - what typer has read
        with connected(**{each.name: values.pop(each.name) for each in options}) as server:
            command(server, **values)

    return with_options(command, options, run)
