"""What answers in place of the server: in a test, the queue of `run_inline`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

_answering: list[Callable[[], "httpx.MockTransport"]] = []
"""Those in force; the last one counts. They are of the process and not of a context or a thread:
what a test runs may publish from any thread."""


@contextmanager
def answered_by(transport: Callable[[], "httpx.MockTransport"]) -> Iterator[None]:
    """Let every client be answered by this until the block ends, wherever its server is.

    But not one that was made with a transport of its own.
    """
    _answering.append(transport)
    try:
        yield
    finally:
        _answering.remove(transport)


def in_place() -> "httpx.MockTransport | None":
    """Return what answers in place of the server; None: the server itself."""
    return _answering[-1]() if _answering else None
