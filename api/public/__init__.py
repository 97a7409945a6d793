"""An HTTP task queue: the names that actions and their tests use.

`from task_queue import Reject, RetryLater, Cancelled, TimedOut, Context`; to publish,
`from task_queue.client import Client, AsyncClient, task`; and in tests
`from task_queue.testing import run_inline`. Every other module may change with any version.
"""

# Nothing is imported here, not even from the standard library: `python -m task_queue` comes through
# before it has set the path right, and would find the user's own `typing.py` or `queue.py`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from task_queue.actors.actions.context import Context as Context
    from task_queue.actors.errors import Cancelled as Cancelled
    from task_queue.actors.errors import Reject as Reject
    from task_queue.actors.errors import RetryLater as RetryLater
    from task_queue.actors.errors import TimedOut as TimedOut

__all__ = ["Cancelled", "Context", "Reject", "RetryLater", "TimedOut"]


def __getattr__(name: str) -> object:
    from importlib import import_module  # noqa: PLC0415 - see above

    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    place = "actors.actions.context" if name == "Context" else "actors.errors"
    return getattr(import_module(f"{__name__}.{place}"), name)


def __dir__() -> list[str]:
    return __all__
