"""What workers over HTTP are leased."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from task_queue.api.client.results.document import State, read


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
