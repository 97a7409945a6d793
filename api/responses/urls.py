"""The one place that knows where the service's URLs begin, and what of one is a secret."""

import re
from contextvars import ContextVar

_prefix = ""
_taken_off: ContextVar[str] = ContextVar("taken_off", default="")
_LEASE = re.compile(r"(/leases/[^/.]*\.)[^/]+")


def begin_with(prefix: str) -> None:
    """Let all URLs of this process begin so, as in `/queue`.

    A process serves under one prefix, which is known before its first answer and stays.
    """
    global _prefix  # noqa: PLW0603 - answers are made in many places, some without a request
    _prefix = prefix.rstrip("/")


def taken_off() -> str:
    """Return what a proxy has taken off the path of the request that this thread answers."""
    return _taken_off.get()


def put_back(prefix: str) -> None:
    """Let URLs begin with this, too, in what this thread answers from now on."""
    _taken_off.set(prefix)


def url(path: str) -> str:
    """Return the URL reference by which the client finds this path of ours."""
    return f"{_taken_off.get()}{_prefix}{path}"


def without_lease(path: str) -> str:
    """Return the path as a log may have it: of a lease without the secret behind its point."""
    return _LEASE.sub(r"\1…", path)
