"""Tasks in a test: `run_inline` runs at once what is published, and raises what goes wrong."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from task_queue.actors.errors import ActionLoadError, InvalidDataError
from task_queue.actors.tasks.failures import Ended
from task_queue.actors.testing import inline
from task_queue.actors.testing.inline import InlineQueue
from task_queue.actors.testing.published import PublishedTask, RefusedError
from task_queue.api.client.in_place import answered_by
from task_queue.config.settings import SettingsError

__all__ = [
    "ActionLoadError",
    "Ended",
    "InlineQueue",
    "InvalidDataError",
    "PublishedTask",
    "RefusedError",
    "SettingsError",
    "run_inline",
]


@wraps(inline.run_inline)
@contextmanager
def run_inline(  # noqa: D103 - wraps gives it one
    config: str | Path | None = None, **actions: Callable[..., Any]
) -> Iterator[InlineQueue]:
    with (
        inline.run_inline(config, **actions) as queue,
        answered_by(lambda: queue.transport),
    ):
        yield queue
