"""Tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from task_queue.api.client.results.document import State, read

FINAL: frozenset[State] = frozenset({"completed", "dead", "cancelled"})
"""The states that a task does not leave by itself."""


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
