"""Tasks in a test: `run_inline` runs at once what is published, and raises what goes wrong."""

from task_queue.actors.errors import ActionLoadError, InvalidDataError
from task_queue.actors.tasks.failures import Ended
from task_queue.actors.testing.inline import InlineQueue, run_inline
from task_queue.actors.testing.published import PublishedTask, RefusedError
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
