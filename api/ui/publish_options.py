"""The fields for what a publish can ask for besides its action and data. Pure."""

from collections.abc import Iterable

import orjson

from task_queue.actors.tasks.new import QUEUE
from task_queue.api.ui.schema_form import Field

_TIME = "As 2026-11-22T10:00:00Z"


def options(queues: Iterable[str]) -> tuple[Field, ...]:
    """Return the fields; their names are those of the members of `POST /tasks`.

    Args:
        queues: The names of those that there are.
    """
    named = tuple((orjson.dumps(name).decode(), name) for name in queues)
    return (
        Field("queue", "choice", "queue", "The queue it goes to.", choices=named, default=QUEUE),
        Field("priority", "number", "priority", "Higher goes first, -100 to 100.", default="0"),
        Field("delay_seconds", "number", "delay_seconds", "How much later it is to run."),
        Field("run_at", "text", "run_at", f"When it is to run. {_TIME}"),
        Field("expires_at", "text", "expires_at", f"Not to be started from then on. {_TIME}"),
        Field("unique_key", "text", "unique_key", "At most one unfinished task has this key."),
        Field("key", "text", "key", "Only so many tasks with this key run at once."),
        Field("max_attempts", "number", "max_attempts", "How many attempts it has."),
        Field("timeout_seconds", "number", "timeout_seconds", "What an attempt may take."),
        Field(
            "keep_result_seconds",
            "number",
            "keep_result_seconds",
            "How long it is kept once it is finished.",
        ),
        Field("callback", "text", "callback", "An address that is told how it ended."),
    )
