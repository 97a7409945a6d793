"""The documents that are answered, as models.

They describe, and tests hold real answers against them. Nothing is serialised by them: where many
tasks pass, that would take longer than all the rest of an answer.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from task_queue.config.sections import QueueSettings

State = Literal["scheduled", "queued", "running", "completed", "dead", "cancelled"]
"""The states that users see."""
_Count = Annotated[int, Field(ge=0)]
_Fraction = Annotated[float, Field(ge=0, le=1)]


class Document(BaseModel):
    """What all documents share: no member is left out but those with a default, none is added."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class ProblemDocument(Document):
    """An error, as RFC 9457 has it.

    Attributes:
        error: A short text by which programs can tell errors apart, or the whole sentence.
        type: The URI reference of the problem's description at `/docs`.
        title: What kind of problem it is.
        status: The HTTP status.
        detail: A sentence about this occurrence; it names the member, its value and what is
            allowed.
    """

    error: str
    type: str
    title: str
    status: int
    detail: str


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
    count: _Count
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

    fraction: _Fraction
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
    attempt: _Count
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
    postponed: _Count
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
        stderr: The end of what its program wrote to standard error.
    """

    number: _Count
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
    count: _Count
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


class ActionDocument(Document):
    """Something a task can do.

    Attributes:
        name: Its name.
        kind: What it is made of.
        description: What it does, in a line.
        execution: Whether it runs in a thread of the service or in a process.
        timeout_seconds: What an attempt may take; null: there is no limit.
        schema: The JSON Schema of its data; null: any object will do.
    """

    name: str
    kind: str
    description: str | None
    execution: str
    timeout_seconds: float | None
    # `schema` is what models of pydantic's have themselves.
    data_schema: Annotated[dict[str, Any] | None, Field(alias="schema")]


class ActionList(Document):
    """All actions.

    Attributes:
        actions: By name.
    """

    actions: list[ActionDocument]


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

    scheduled: _Count
    queued: _Count
    running: _Count
    completed: _Count
    dead: _Count
    cancelled: _Count


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
    count: _Count
    more: Literal[True] = True


class Redriven(Document):
    """How many dead tasks were put back, and how many that match were not.

    Attributes:
        count: How many were put back.
        quarantined: How many may take the service down again.
        unknown: How many have an action or a queue that there is not.
        unchanged: How many are not dead any more, or lost their unique key.
        detail: Why those were not put back.
    """

    count: _Count
    quarantined: Annotated[int, Field(ge=1)] = 1
    unknown: Annotated[int, Field(ge=1)] = 1
    unchanged: Annotated[int, Field(ge=1)] = 1
    detail: str = ""


class LeasedTaskDocument(Document):
    """A task, as its worker needs it.

    Attributes:
        id: Its id, a UUID of version 7.
        queue: Its queue.
        action: What is to be done.
        data: The action's input.
        attempt: Which attempt this is, from 1.
        max_attempts: How many it has.
        created_at: When it was published, Unix seconds.
        key: Its queue runs only so many tasks with this key at once.
        timeout_seconds: What an attempt may take; null: as its action or the settings say.
        traceparent: The trace it was published in (W3C Trace Context).
        tracestate: What goes with that.
    """

    id: str
    queue: str
    action: str
    data: dict[str, Any]
    attempt: Annotated[int, Field(ge=1)]
    max_attempts: int
    created_at: int
    key: str | None
    timeout_seconds: float | None
    traceparent: str = ""
    tracestate: str = ""


class LeaseDocument(Document):
    """A task that is leased to a worker.

    Attributes:
        lease: The lease, a secret, by which it is settled.
        expires_at: When the lease lapses unless it is extended, Unix seconds.
        task: The task.
    """

    lease: str
    expires_at: float
    task: LeasedTaskDocument


class Leased(Document):
    """What a worker is leased.

    Attributes:
        leases: None if nothing was ready.
    """

    leases: list[LeaseDocument]


class SettledLease(Document):
    """What became of a leased task.

    Attributes:
        lease: The lease.
        id: The task's id.
        status: Its state from now on.
        cancel_requested: Whether somebody asked to cancel it.
        run_at: When it is run again, if it is, Unix seconds.
        expires_at: When the lease lapses, if it goes on, Unix seconds.
    """

    lease: str
    id: str
    status: State
    cancel_requested: bool
    run_at: float = 0.0
    expires_at: float = 0.0


class SettledOne(SettledLease):
    """What became of one of several leased tasks.

    Attributes:
        ok: It is on disk.
    """

    ok: Literal[True]


class RefusedOne(Document):
    """Why nothing was recorded of one of several leased tasks.

    Attributes:
        ok: Nothing was recorded.
        lease: The lease.
        problem: Why.
    """

    ok: Literal[False]
    lease: str
    problem: ProblemDocument


class SettledList(Document):
    """What became of several leased tasks.

    Attributes:
        settlements: Each, in the order of the request.
    """

    settlements: list[SettledOne | RefusedOne]


class ScheduleDocument(Document):
    """A schedule.

    Attributes:
        name: Its name.
        cron: Its times, if it has `cron`.
        every: The distance between its times, if it has `every`.
        timezone: Whose wall clock it goes by.
        clock_forward: What becomes of times that this clock jumps over; only with `cron`.
        clock_back: How often times come that this clock shows twice; only with `cron`.
        task: What is published.
        missed: What becomes of the times at which no node ran.
        expires_after_seconds: How long after its time a task may still be started.
        next: Its next times, RFC 3339.
        last: When it last published, RFC 3339.
        configured: Whether it is in the settings, where alone it can be changed.
    """

    name: str
    cron: str = ""
    every: str = ""
    timezone: str
    clock_forward: Literal["run", "skip"] = "run"
    clock_back: Literal["once", "twice"] = "once"
    task: dict[str, Any]
    missed: Literal["skip", "once"]
    expires_after_seconds: float | None
    next: list[str]
    last: str | None
    configured: bool


class ScheduleList(Document):
    """All schedules.

    Attributes:
        schedules: By name.
    """

    schedules: list[ScheduleDocument]


class AuditDocument(Document):
    """Something that was asked for.

    Attributes:
        at: When, Unix seconds.
        who: The key's name, with its id if it is one of the database; `anonymous` where none is
            needed; `command line` with the user.
        what: The operation.
        target: The path, or the name of a key.
        source: The address of the client, or the name of the machine.
        status: How it was answered; null: that is not known.
    """

    at: float
    who: str
    what: str
    target: str
    source: str
    status: int | None


class AuditPage(Document):
    """A page of the audit log.

    Attributes:
        entries: The newest first.
        count: How many there are on this page.
        next_cursor: Where the next page begins; null: this is the last.
    """

    entries: list[AuditDocument]
    count: _Count
    next_cursor: str | None


class Alive(Document):
    """The process answers.

    Attributes:
        status: Always the same.
    """

    status: Literal["alive"]


class Readiness(Document):
    """Whether work gets done.

    Attributes:
        status: Whether it does.
        problems: What is wrong.
        warnings: What will be if nobody looks after it.
    """

    status: Literal["ready", "not ready"]
    problems: list[str]
    warnings: list[str]


class OpenApiDocument(BaseModel):
    """A description of this API as OpenAPI 3.1 has it.

    Attributes:
        openapi: The version of OpenAPI.
        info: What is described.
        paths: The operations, by path and method.
        components: What they refer to.
    """

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]
    components: dict[str, Any]
