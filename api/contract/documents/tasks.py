"""What is answered about tasks."""

from typing import Annotated, Any, Literal

from pydantic import Field

from task_queue.api.contract.documents.document import Count, Document, State


class Queued(Document):
    """The answer to a publish.

    Attributes:
        id: The task's id.
        status: `queued`, or `scheduled` if it has a delay; with `duplicate`, whatever it is now.
        duplicate: Its queue has a task with this unique key, and this is it.
    """

    id: str
    status: State
    duplicate: Literal[True] = True


class QueuedBatch(Document):
    """The answer to the publish of a batch.

    Attributes:
        ids: The ids of the tasks, in the order of the request.
        count: How many there are.
        duplicates: How many of them there were before, with the same unique key.
    """

    ids: list[str]
    count: Count
    duplicates: Annotated[int, Field(ge=1)] = 1


class Payload(Document):
    """What was published.

    Attributes:
        id: The task's id.
        action: What is to be done.
        data: The action's input.
        created_at: When it was published, Unix seconds.
    """

    id: str
    action: str
    data: dict[str, Any]
    created_at: int


class BackoffDocument(Document):
    """How long a failed task waits.

    Attributes:
        base: What the first delay never exceeds, seconds.
        factor: What each further one is multiplied by.
        cap: What no delay exceeds, seconds.
    """

    base: float | None
    factor: float | None
    cap: float | None


class Progress(Document):
    """How far a running action says it is.

    Attributes:
        fraction: From 0 to 1.
        message: What it says.
    """

    fraction: Annotated[float, Field(ge=0, le=1)]
    message: str | None


class TaskDocument(Document):
    """A task.

    Attributes:
        id: Its id, a UUID of version 7.
        payload: What was published.
        status: Where it is in its life.
        result: What its action returned; null until it is completed.
        created_at: When it was published, Unix seconds.
        processed_at: When it was completed or died, Unix seconds.
        queue: Its queue.
        priority: Higher goes first.
        error: Why the last attempt failed.
        attempt: How many attempts have begun.
        max_attempts: How many it has.
        run_at: From when on it may run, Unix seconds.
        started_at: When the last attempt began, Unix seconds.
        ended_at: When it became final, Unix seconds.
        expires_at: Not to be started from then on, Unix seconds.
        unique_key: Its queue has at most one waiting or running task with this key.
        key: Its queue runs only so many tasks with this key at once.
        keep_result_seconds: How long it is kept once it is final; null: as the settings say.
        timeout_seconds: What an attempt may take; null: as its action or the settings say.
        backoff: How long it waits after a failed attempt; null: as its queue has it.
        callback: Where it is told how it ended.
        traceparent: The trace it was published in (W3C Trace Context).
        tracestate: What goes with that.
        schedule: The schedule that published it.
        worker: The node that runs it, or did so last.
        postponed: How often its action asked to be run again later.
        cancel_requested: Whether it runs and was asked to stop.
        progress: How far its action says it is.
    """

    id: str
    payload: Payload
    status: State
    result: Any
    created_at: int
    processed_at: int | None
    queue: str
    priority: int
    error: str | None
    attempt: Count
    max_attempts: int
    run_at: float | None
    started_at: float | None
    ended_at: float | None
    expires_at: float | None
    unique_key: str | None
    key: str | None
    keep_result_seconds: int | None
    timeout_seconds: float | None
    backoff: BackoffDocument | None
    callback: str | None
    traceparent: str | None
    tracestate: str | None
    schedule: str | None
    worker: str | None
    postponed: Count
    cancel_requested: bool
    progress: Progress | None


class AttemptDocument(Document):
    """One run of a task.

    Attributes:
        number: Which one, from 1.
        started: When it began, Unix seconds.
        ended: When it ended, Unix seconds; null: it runs.
        worker: The node that ran it.
        outcome: How it ended; null: it runs.
        error: Why it failed.
        traceback: Where, if Python code did.
        stderr: The end of what its action printed and logged, or its program wrote to standard
            error.
    """

    number: Count
    started: float | None
    ended: float | None
    worker: str | None
    outcome: (
        Literal["completed", "failed", "timed_out", "crashed", "lost", "cancelled", "drained"]
        | None
    )
    error: str | None
    traceback: str | None
    stderr: str | None


class TaskWithAttempts(TaskDocument):
    """A task with what became of each of its runs.

    Attributes:
        attempts: Its runs, the first one first.
    """

    attempts: list[AttemptDocument]


class TaskPage(Document):
    """A page of tasks.

    Attributes:
        tasks: The tasks.
        count: How many are on this page.
        next_cursor: What to ask for the next page with; null: there is none.
    """

    tasks: list[TaskDocument]
    count: Count
    next_cursor: str | None


class Changed(Document):
    """What became of a task that was cancelled or put back.

    Attributes:
        id: The task's id.
        status: Where it is now.
        cancel_requested: It runs, and has been asked to stop.
    """

    id: str
    status: State
    cancel_requested: Literal[True] = True
