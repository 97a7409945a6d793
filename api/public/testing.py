"""Tasks in a test: `run_inline` runs at once what is published, and raises what goes wrong."""

from task_queue.actors.testing import InlineQueue, PublishedTask, RefusedError, run_inline

__all__ = ["InlineQueue", "PublishedTask", "RefusedError", "run_inline"]
