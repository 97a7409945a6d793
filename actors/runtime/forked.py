"""What is the service's alone: no process that an action in a thread forks gets it.

While one has it, too, the other end of a connection does not see that it was closed, and a lock is
held beyond the service.
"""

import os
from contextlib import suppress
from typing import Protocol, TypeVar
from weakref import WeakSet


class Closable(Protocol):
    """Something that holds a descriptor."""

    def close(self) -> None:
        """Close it in this process; again does no harm."""


C = TypeVar("C", bound=Closable)

_kept: WeakSet[Closable] = WeakSet()


def kept_from_forked(resource: C) -> C:
    """Return it, after seeing to it that processes forked from this one close it.

    `multiprocessing` forks where that is its method of starting one; `subprocess` runs another
    program, which inherits nothing.
    """
    _kept.add(resource)
    return resource


def _close() -> None:
    for each in list(_kept):
        with suppress(OSError):  # an action may have closed its descriptor
            each.close()


os.register_at_fork(after_in_child=_close)
