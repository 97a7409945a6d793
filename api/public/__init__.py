"""An HTTP task queue: the names that actions and their tests use.

`from task_queue import Reject, RetryLater, Cancelled, TimedOut, Context`, and in tests
`from task_queue.testing import run_inline`. Every other module may change with any version.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from task_queue.actors.actions.context import Context as Context
    from task_queue.actors.errors import Cancelled as Cancelled
    from task_queue.actors.errors import Reject as Reject
    from task_queue.actors.errors import RetryLater as RetryLater
    from task_queue.actors.errors import TimedOut as TimedOut

__all__ = ["Cancelled", "Context", "Reject", "RetryLater", "TimedOut"]


def __getattr__(name: str) -> object:
    # Imported at first use: `python -m task_queue` has yet to set the path right when it comes
    # through here, and a module of the user's named `queue` must not be what `logging` imports.
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    place = "actors.actions.context" if name == "Context" else "actors.errors"
    return getattr(import_module(f"{__name__}.{place}"), name)


def __dir__() -> list[str]:
    return __all__
