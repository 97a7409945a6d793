"""What is answered about queues."""

from typing import Literal

from task_queue.api.contract.documents.document import Count, Document
from task_queue.config.sections import QueueSettings


class Counts(Document):
    """How many tasks of a queue are in each state.

    Attributes:
        scheduled: Those that wait for their time.
        queued: Those that wait for a consumer.
        running: Those that run.
        completed: Those that are done.
        dead: Those that failed for good.
        cancelled: Those that were cancelled.
    """

    scheduled: Count
    queued: Count
    running: Count
    completed: Count
    dead: Count
    cancelled: Count


class RatesDocument(Document):
    """Tasks per second on this node, over the last minute.

    Attributes:
        published: Those that came.
        completed: Those that were done.
        failed: Attempts that failed.
    """

    published: float
    completed: float
    failed: float


class QueueDocument(Document):
    """A queue.

    Attributes:
        name: Its name.
        driver: Where it keeps its tasks.
        paused: Whether it hands out none.
        counts: How many of its tasks are in each state.
        oldest_ready_seconds: How long the task that has waited for longest could have run; null:
            none waits.
        rates: How many come and go.
        settings: Its settings.
    """

    name: str
    driver: Literal["database", "memory"]
    paused: bool
    counts: Counts
    oldest_ready_seconds: float | None
    rates: RatesDocument
    settings: QueueSettings


class QueueList(Document):
    """All queues.

    Attributes:
        queues: In the order of the settings.
    """

    queues: list[QueueDocument]


class QueueFigures(Document):
    """What happened on a queue, one number for each step.

    Attributes:
        published: Tasks that came.
        started: Attempts that began.
        completed: Tasks that completed.
        failed: Attempts that failed; not those that were cancelled, put off or given back.
        dead: Tasks that died.
        wait_seconds: From ready to started, the sum over those that started.
        run_seconds: From begin to end, the sum over those that completed or failed.
    """

    published: list[Count]
    started: list[Count]
    completed: list[Count]
    failed: list[Count]
    dead: list[Count]
    wait_seconds: list[float]
    run_seconds: list[float]


class FiguresDocument(Document):
    """What happened on the queues.

    Attributes:
        span: Over which time.
        begin: When the first step begins, Unix seconds.
        step_seconds: How long each step is. There are 60 or 144, and the last is the present one.
        queues: By name.
    """

    span: Literal["hour", "day"]
    begin: int
    step_seconds: Literal[60, 600]
    queues: dict[str, QueueFigures]


class Paused(Document):
    """Whether a queue is paused.

    Attributes:
        name: The queue.
        paused: Whether it hands out no tasks.
    """

    name: str
    paused: bool


class Purged(Document):
    """How many tasks of a queue were cancelled.

    Attributes:
        name: The queue.
        count: How many.
        more: It took too long: send the request again for the rest.
    """

    name: str
    count: Count
    more: Literal[True] = True
