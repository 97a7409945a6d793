"""What the server answers, as frozen values. Moments are Unix seconds.

A member that a server leaves out has its default here, and one that it has besides is passed over:
client and server need not be of the same version.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Generic, Literal, TypeVar

State = Literal["scheduled", "queued", "running", "completed", "dead", "cancelled"]
"""The states of a task."""
FINAL: frozenset[State] = frozenset({"completed", "dead", "cancelled"})
"""The states that a task does not leave by itself."""

T = TypeVar("T")


def read(kind: Callable[..., T], document: Mapping[str, Any], /, **parts: object) -> T:
    """Return a value of a document.

    Args:
        kind: A class of this module.
        document: What was answered.
        parts: Members that are not in the document as they are.
    """
    named = {each.name for each in fields(kind)}  # type: ignore[arg-type] # one of the below
    return kind(**({name: document[name] for name in named.intersection(document)} | parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A task that was published.

    Attributes:
        id: Its id.
        status: `queued`, or `scheduled` if it has a delay.
        duplicate: Its queue had a task with this unique key already, and this is it.
    """

    id: str
    status: State
    duplicate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedBatch:
    """Tasks that were published together.

    Attributes:
        ids: Their ids, in the order in which they were given.
        duplicates: How many of them there were before, with the same unique key.
    """

    ids: Sequence[str]
    duplicates: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an action says it is.

    Attributes:
        fraction: From 0 to 1.
        message: What it says; None: nothing.
    """

    fraction: float
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One run of a task.

    Attributes:
        number: Which one, from 1.
        started: When it began.
        ended: When it ended; None: it runs.
        worker: The node that ran it.
        outcome: `completed`, `failed`, `timed_out`, `crashed`, `lost`, `cancelled` or `drained`;
            None: it runs.
        error: Why it failed.
        traceback: Where, if Python code did.
        stderr: The end of what was printed.
    """

    number: int
    started: float | None = None
    ended: float | None = None
    worker: str | None = None
    outcome: str | None = None
    error: str | None = None
    traceback: str | None = None
    stderr: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task, as it was when it was looked at.

    Attributes:
        id: Its id, a UUID of version 7.
        action: What is to be done.
        data: The action's input.
        status: Where it is in its life.
        result: What its action returned; None until it is completed.
        error: Why the last attempt failed.
        queue: Its queue.
        priority: Higher goes first.
        attempt: How many attempts have begun.
        max_attempts: How many it has.
        created_at: When it was published, a whole number.
        run_at: From when on it may run.
        started_at: When the last attempt began.
        ended_at: When it ended.
        expires_at: Not to be started from then on.
        unique_key: Its queue has at most one unfinished task with this key.
        key: Its queue runs only so many tasks with this key at once.
        schedule: The schedule that published it.
        worker: The node that runs it, or did so last.
        cancel_requested: Whether it runs and was asked to stop.
        progress: How far its action says it is.
        attempts: Its runs, the first one first; empty in a listing.
        document: The whole answer of the server.
    """

    id: str
    action: str
    data: Mapping[str, Any]
    status: State
    result: Any = None
    error: str | None = None
    queue: str = "tasks"
    priority: int = 0
    attempt: int = 0
    max_attempts: int = 1
    created_at: int = 0
    run_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    expires_at: float | None = None
    unique_key: str | None = None
    key: str | None = None
    schedule: str | None = None
    worker: str | None = None
    cancel_requested: bool = False
    progress: Progress | None = None
    attempts: Sequence[Attempt] = ()
    document: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_final(self) -> bool:
        """Whether it is completed, dead or cancelled."""
        return self.status in FINAL

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Task":
        """Return the task of an answer."""
        payload, progress = document["payload"], document.get("progress")
        return read(
            cls,
            document,
            action=payload["action"],
            data=payload["data"],
            progress=progress and read(Progress, progress),
            attempts=tuple(read(Attempt, each) for each in document.get("attempts", ())),
            document=document,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What became of a task that was cancelled or put back.

    Attributes:
        id: Its id.
        status: Where it is now.
        cancel_requested: It runs, and has been asked to stop.
    """

    id: str
    status: State
    cancel_requested: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedMany:
    """What became of many tasks, or would.

    Attributes:
        count: How many were changed; of a preview: how many would be, at most 10,000.
        skipped: How many match, but their state does not allow it.
        more: Of a preview: there are more than `count`.
    """

    count: int
    skipped: int = 0
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Redriven:
    """How many dead tasks were put back, and how many that match were not.

    Attributes:
        count: How many were put back.
        quarantined: How many may take the service down again.
        unknown: How many have an action or a queue that there is not.
        unchanged: How many are not dead any more, or lost their unique key.
        detail: Why those were not put back; empty: all were.
    """

    count: int
    quarantined: int = 0
    unknown: int = 0
    unchanged: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadGroup:
    """Dead tasks that died of the same error, apart from ids and numbers in it.

    Attributes:
        queue: Their queue.
        action: Their action.
        error_group: What their errors have in common.
        count: How many there are.
        first_at: When the first of them died.
        last_at: When the last one did.
    """

    queue: str
    action: str
    error_group: str
    count: int
    first_at: float | None = None
    last_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A queue.

    Attributes:
        name: Its name.
        driver: `database` or `memory`.
        paused: Whether it hands out no tasks.
        counts: How many of its tasks are in each state.
        oldest_ready_seconds: How long the oldest task that could run has waited; None: none waits.
        rates: Tasks per second on the node that was asked, over its last minute: `published`,
            `completed`, `failed`.
        settings: Its settings.
    """

    name: str
    driver: str = "database"
    paused: bool = False
    counts: Mapping[State, int] = field(default_factory=dict)
    oldest_ready_seconds: float | None = None
    rates: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """How many waiting tasks of a queue were cancelled.

    Attributes:
        name: The queue.
        count: How many.
        more: It took too long: ask again for the rest.
    """

    name: str
    count: int
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule.

    Attributes:
        name: Its name.
        task: What is published: `action`, `data`, `queue` and so on.
        cron: Its times; empty: it has `every`.
        every: The distance between its times; empty: it has `cron`.
        timezone: Whose clock it goes by.
        missed: What becomes of times at which no node ran: `skip` or `once`.
        clock_forward: What becomes of times that a clock jumps over: `run` or `skip`.
        clock_back: How often times come that a clock shows twice: `once` or `twice`.
        expires_after_seconds: How long after its time a task may still be started.
        next: Its next times, RFC 3339.
        last: When it last published, RFC 3339.
        configured: Whether it is in the settings, where alone it can be changed.
    """

    name: str
    task: Mapping[str, Any]
    cron: str = ""
    every: str = ""
    timezone: str = "UTC"
    missed: str = "skip"
    clock_forward: str = "run"
    clock_back: str = "once"
    expires_after_seconds: float | None = None
    next: Sequence[str] = ()
    last: str | None = None
    configured: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Something that a task can do.

    Attributes:
        name: Its name.
        kind: What it is made of.
        description: What it does, in a line.
        execution: Where it runs: in a thread, in a process, or by a worker.
        timeout_seconds: What an attempt may take; None: there is no limit.
        schema: The JSON Schema of its data; None: any object will do.
    """

    name: str
    kind: str = ""
    description: str | None = None
    execution: str = ""
    timeout_seconds: float | None = None
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Something that was asked for.

    Attributes:
        at: When.
        who: The key's name.
        what: The operation.
        target: The path, or the name of a key.
        source: The address of the client, or the name of the machine.
        status: How it was answered; None: that is not known.
    """

    at: float
    who: str
    what: str
    target: str
    source: str
    status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A task that somebody runs.

    Attributes:
        id: Its id.
        action: What is done.
        queue: Its queue.
        attempt: Which attempt this is.
        started_at: When it began.
    """

    id: str
    action: str
    queue: str
    attempt: int = 1
    started_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A process of the service.

    Attributes:
        name: Its name, as `host:process`.
        version: Of the program.
        status: `alive`, `draining` or `silent`.
        started_at: When it began.
        seen_at: When it last said that it is there.
        queues: How many consumers it has for each queue.
        running: What it runs.
    """

    name: str
    version: str = ""
    status: str = "alive"
    started_at: float | None = None
    seen_at: float | None = None
    queues: Mapping[str, int] = field(default_factory=dict)
    running: Sequence[Run] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A program that leases tasks.

    Attributes:
        name: The name that it gave.
        running: What it has leased.
    """

    name: str
    running: Sequence[Run] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Workforce:
    """Who works.

    Attributes:
        nodes: The processes of the service.
        workers: The programs that lease tasks.
    """

    nodes: Sequence[Node]
    workers: Sequence[Worker]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Workforce":
        """Return who works by an answer."""
        return cls(
            nodes=tuple(read(Node, each, running=_runs(each)) for each in document["nodes"]),
            workers=tuple(read(Worker, each, running=_runs(each)) for each in document["workers"]),
        )


def _runs(document: Mapping[str, Any]) -> tuple[Run, ...]:
    return tuple(read(Run, each) for each in document.get("running", ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What went through each queue over the last hour or day, in steps.

    Attributes:
        span: `hour` or `day`.
        begin: When the first step begins.
        step_seconds: How long a step is. The last one is the present one.
        queues: Of each queue the numbers of each step: `published`, `started`, `completed`,
            `failed`, `dead`, and the sums `wait_seconds` and `run_seconds`.
    """

    span: str
    begin: float
    step_seconds: int
    queues: Mapping[str, Mapping[str, Sequence[float]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether work gets done.

    Attributes:
        status: `ready` or `not ready`.
        problems: What is wrong.
        warnings: What will be if nobody looks after it.
    """

    status: str
    problems: Sequence[str] = ()
    warnings: Sequence[str] = ()

    @property
    def is_ready(self) -> bool:
        """Whether work gets done."""
        return self.status == "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedTask:
    """A task, as its worker needs it.

    Attributes:
        id: Its id.
        queue: Its queue.
        action: What is to be done.
        data: The action's input.
        attempt: Which attempt this is, from 1.
        max_attempts: How many it has.
        created_at: When it was published.
        key: Its queue runs only so many tasks with this key at once.
        timeout_seconds: What an attempt may take; None: as its action or the settings say.
        traceparent: The trace it was published in; empty: none.
        tracestate: What goes with that.
    """

    id: str
    queue: str
    action: str
    data: Mapping[str, Any]
    attempt: int = 1
    max_attempts: int = 1
    created_at: int = 0
    key: str | None = None
    timeout_seconds: float | None = None
    traceparent: str = ""
    tracestate: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A task that is leased to a worker.

    Attributes:
        lease: The secret by which it is settled.
        expires_at: When the lease lapses unless it is extended.
        task: The task.
    """

    lease: str = field(repr=False)
    expires_at: float
    task: LeasedTask

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Lease":
        """Return the lease of an answer."""
        return read(cls, document, task=read(LeasedTask, document["task"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of a leased task.

    Attributes:
        lease: The lease.
        id: The task's id.
        status: Its state from now on.
        cancel_requested: Whether somebody asked to cancel it.
        run_at: When it is run again; None: it is not.
        expires_at: When the lease lapses; None: it is over.
    """

    lease: str = field(repr=False)
    id: str
    status: State
    cancel_requested: bool = False
    run_at: float | None = None
    expires_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """A page of a listing.

    Attributes:
        items: What is on it.
        next_cursor: What to ask for the next page with; None: this is the last.
    """

    items: Sequence[T]
    next_cursor: str | None = None
