"""Where the server is, and as whom it is asked."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from task_queue.api.client.errors import AddressError
from task_queue.api.client.request import is_visible
from task_queue.config.server_address import server_key, server_url

UNIX = "unix:"
"""What the address of a Unix socket begins with, as in `unix:/run/task-queue.sock`."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is, and as whom it is asked.

    Attributes:
        url: What paths are put behind, without a slash at the end.
        socket: The Unix socket it listens at; None: it is found by the URL.
        headers: Those of every request. They may hold the key, so they are not shown.
    """

    url: str
    socket: str | None
    headers: dict[str, str] = field(repr=False)

    def __str__(self) -> str:
        """Return the address, for errors."""
        return self.url if self.socket is None else f"{UNIX}{self.socket}"

    @property
    def is_encrypted(self) -> bool:
        """Whether the server speaks TLS."""
        return self.url.startswith("https:")


def address_of(url: str | None, key: str | None) -> Address:
    """Return the address.

    Args:
        url: With http or https, or of a Unix socket; None: as the environment says.
        key: The key; None: as the environment says, empty: none.

    Raises:
        AddressError: The URL or the key cannot be used.
    """
    given = server_url() if url is None else url
    key = server_key() if key is None else key
    headers = {"User-Agent": "task-queue-client"}
    if key:
        if not is_visible(key):
            raise AddressError("the key has a blank, or another character that no key has")
        headers["Authorization"] = f"Bearer {key}"
    if given.startswith(UNIX) and len(given) > len(UNIX):
        return Address("http://localhost", given.removeprefix(UNIX), headers)
    if not _is_usable(given):
        message = (
            "the URL of the server must be like http://127.0.0.1:8080,"
            f" https://example.com/queue or {UNIX}/run/task-queue.sock, not {_shown(given)}"
        )
        raise AddressError(message)
    return Address(given.rstrip("/"), None, headers)


def _is_usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises if it is no number
    except ValueError:
        return False
    is_plain = not (parts.query or parts.fragment or parts.username or parts.password)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and is_plain


def _shown(url: str) -> str:
    """Return the URL for an error, without what stands before an `@`: it may be a password."""
    return repr(url) if "@" not in url else "one with a user or a password"
