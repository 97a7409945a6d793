"""What workers over HTTP are answered."""

from typing import Annotated, Any, Literal

from pydantic import Field

from task_queue.api.contract.documents.document import Document, State
from task_queue.api.contract.documents.problem import ProblemDocument


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
