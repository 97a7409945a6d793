"""Whether spans are made: what makes them, and what then runs the actions.

OpenTelemetry is an extra, and nothing of it is imported unless traces are turned on.
"""

from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING, Union

from task_queue.actors.actions.registry import Registry
from task_queue.config.settings import SettingsError, TraceSettings

if TYPE_CHECKING:
    from task_queue.actors.actions.traced import TracedActions
    from task_queue.actors.runtime.tracing import Tracing

Runner = Union[Registry, "TracedActions"]
"""What runs actions for consumers."""


def tracing(settings: TraceSettings) -> "Tracing | None":
    """Return what makes spans; None: traces are turned off.

    Raises:
        SettingsError: The extra `otel` is not installed.
    """
    if not settings.enabled:
        return None
    try:
        from task_queue.actors.runtime.tracing import connected  # noqa: PLC0415 - an extra
    except ImportError as error:
        message = (
            f"traces.enabled needs OpenTelemetry, and {error.name} is not installed:"
            " pip install 'task-queue[otel]'"
        )
        raise SettingsError(message) from error
    return connected(version("task-queue"))


def runner(actions: Registry, tracing: "Tracing | None", now: Callable[[], float]) -> Runner:
    """Return what runs the actions: with traces, each in a span of its own."""
    if tracing is None:
        return actions
    from task_queue.actors.actions.traced import TracedActions  # noqa: PLC0415 - an extra

    return TracedActions(actions, tracing, now)
